"""Jamba for Tramontane."""
