"""The StableLM family of architectures."""
