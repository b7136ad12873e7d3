"""Tramontane runs language models: a small core, and everything else a plugin."""

__version__ = "0.1.0"
