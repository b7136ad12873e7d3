"""Checkpoints: finding them, reading their headers, and filling a model from them."""
