"""Sampler steps for Tramontane; `plugin` lists them."""
