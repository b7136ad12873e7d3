"""The GPT-OSS family of architectures."""
