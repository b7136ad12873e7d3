"""The EXAONE family of architectures."""
