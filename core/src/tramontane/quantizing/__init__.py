"""Quantizing in place: which matrix becomes what kind, and making it, while a model is read."""
