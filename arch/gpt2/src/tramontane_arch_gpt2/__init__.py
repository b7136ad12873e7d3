"""The GPT-2 family of architectures."""
