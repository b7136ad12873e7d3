"""Adapters: small changes of a model's weights, chosen by each request."""
