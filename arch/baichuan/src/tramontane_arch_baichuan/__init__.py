"""The Baichuan family of architectures."""
