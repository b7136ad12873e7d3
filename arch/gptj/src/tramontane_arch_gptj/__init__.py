"""The GPT-J family of architectures."""
