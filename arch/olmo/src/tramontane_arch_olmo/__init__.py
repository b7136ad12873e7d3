"""The OLMo family of architectures."""
