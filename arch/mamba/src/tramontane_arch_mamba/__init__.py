"""Mamba and Falcon Mamba for Tramontane."""
