"""Zamba2 for Tramontane."""
