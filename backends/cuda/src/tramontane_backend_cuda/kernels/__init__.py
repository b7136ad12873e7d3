"""Triton functions: what runs on the card."""
