"""The Falcon family of architectures."""
