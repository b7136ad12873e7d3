"""The Jais family of architectures."""
