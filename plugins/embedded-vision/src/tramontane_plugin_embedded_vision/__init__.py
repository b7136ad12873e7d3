"""A tiny model of Tramontane's own that sees."""
