"""LoRA adapters, as peft saves them."""
