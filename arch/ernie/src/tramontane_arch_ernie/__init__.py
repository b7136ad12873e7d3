"""The ERNIE 4.5 family of architectures."""
