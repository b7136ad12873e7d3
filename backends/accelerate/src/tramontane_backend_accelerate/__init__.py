"""Accelerate in the CPU backend's steps."""
