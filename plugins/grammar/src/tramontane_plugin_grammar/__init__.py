"""Structured output: masks that leave only tokens with which a text can still be right."""
