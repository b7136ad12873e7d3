"""The HunYuan family of architectures."""
