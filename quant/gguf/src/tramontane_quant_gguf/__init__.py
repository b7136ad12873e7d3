"""GGUF files for Tramontane."""
