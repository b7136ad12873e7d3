"""The Granite family of architectures."""
