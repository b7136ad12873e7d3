"""Whisper, as a Tramontane plugin."""
