"""The Seed-OSS family of architectures."""
