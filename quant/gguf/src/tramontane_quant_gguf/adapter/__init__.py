"""LoRA adapters in GGUF files."""
