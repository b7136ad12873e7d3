"""A tiny chat model of Tramontane's own, which runs when no other is named."""
