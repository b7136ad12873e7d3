"""Bamba for Tramontane."""
