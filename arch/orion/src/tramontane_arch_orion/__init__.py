"""The Orion family of architectures."""
