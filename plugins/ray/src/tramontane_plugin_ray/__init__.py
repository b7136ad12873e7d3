"""Replicas on Ray Serve."""
