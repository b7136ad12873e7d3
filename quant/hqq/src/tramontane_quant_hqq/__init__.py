"""Layers of half-quadratic quantization (HQQ)."""
