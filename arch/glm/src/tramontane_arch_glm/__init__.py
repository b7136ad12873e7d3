"""The GLM family of architectures."""
