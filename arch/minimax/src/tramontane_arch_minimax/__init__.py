"""The MiniMax family of architectures."""
