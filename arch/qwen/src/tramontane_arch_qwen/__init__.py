"""The Qwen family of architectures."""
