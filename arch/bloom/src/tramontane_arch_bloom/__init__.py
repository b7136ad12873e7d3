"""The BLOOM family of architectures."""
