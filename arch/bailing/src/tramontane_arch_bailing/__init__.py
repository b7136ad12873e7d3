"""The BailingMoE family of architectures."""
