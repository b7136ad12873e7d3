"""Models that torchao quantized."""
