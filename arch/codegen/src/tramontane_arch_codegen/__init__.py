"""The CodeGen family of architectures."""
