"""FLUX.1 (Black Forest Labs 2024): a transformer that turns noise into images, and its parts."""
