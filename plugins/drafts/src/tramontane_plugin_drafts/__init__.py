"""Guesses of the next tokens, for speculative decoding."""
