"""AWQ checkpoints: see `layers` for their layout."""
