"""Prepared models: weights in the order of a backend's kernels, kept on disk for the next start."""
