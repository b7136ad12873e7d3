"""The MiniCPM family of architectures."""
