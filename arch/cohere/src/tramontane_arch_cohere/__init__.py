"""The Cohere family of architectures."""
