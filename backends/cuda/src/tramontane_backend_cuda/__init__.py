"""Kernels for graphics cards, by Triton."""
