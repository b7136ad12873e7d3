"""The MPT family of architectures."""
