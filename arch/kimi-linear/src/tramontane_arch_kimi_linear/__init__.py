"""Kimi Linear for Tramontane."""
