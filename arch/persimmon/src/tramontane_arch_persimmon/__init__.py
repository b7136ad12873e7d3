"""The Persimmon family of architectures."""
