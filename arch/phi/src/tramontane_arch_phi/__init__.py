"""The Phi family of architectures."""
