"""The InternLM family of architectures."""
