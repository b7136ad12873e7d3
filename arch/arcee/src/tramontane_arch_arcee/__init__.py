"""The Arcee family of architectures."""
