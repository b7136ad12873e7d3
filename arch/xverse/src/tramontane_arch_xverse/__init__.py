"""The XVERSE family of architectures."""
