"""Pictures in a prompt: decoding, resizing, and the places that they have among the tokens."""
