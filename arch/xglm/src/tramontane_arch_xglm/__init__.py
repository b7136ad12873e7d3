"""The XGLM family of architectures."""
