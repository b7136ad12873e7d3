"""Weights of 8-bit floats, and the scales of their blocks."""
