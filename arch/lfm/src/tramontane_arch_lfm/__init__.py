"""LFM2 for Tramontane."""
