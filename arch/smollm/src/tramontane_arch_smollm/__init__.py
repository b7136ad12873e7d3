"""The SmolLM family of architectures."""
