"""The Gemma family of architectures."""
