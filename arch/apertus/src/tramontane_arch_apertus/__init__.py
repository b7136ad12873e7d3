"""The Apertus family of architectures."""
