"""bitsandbytes checkpoints: see `layers` for their layout."""
