"""The Llama family of architectures."""
