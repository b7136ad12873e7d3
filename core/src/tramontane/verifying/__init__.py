"""A model held against an independent implementation: logits, hidden states, weights, token ids."""
