"""Compiled kernels: arrays in, arrays out, one operation per file."""
