"""The GPT-NeoX family of architectures."""
