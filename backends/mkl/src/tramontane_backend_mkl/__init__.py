"""MKL in the CPU backend's steps."""
