"""GPTQ checkpoints: see `layers` for their layout."""
