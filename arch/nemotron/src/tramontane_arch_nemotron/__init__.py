"""The Nemotron family of architectures."""
