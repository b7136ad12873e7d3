"""The OpenELM family of architectures."""
