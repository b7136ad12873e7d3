"""The DeepSeek family of architectures."""
