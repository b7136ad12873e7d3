"""The OPT family of architectures."""
