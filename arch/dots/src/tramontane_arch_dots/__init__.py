"""The dots family of architectures."""
