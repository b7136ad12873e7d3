"""The Idefics family of architectures."""
