"""The StarCoder family of architectures."""
