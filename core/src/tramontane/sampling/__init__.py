"""Sampling: the chain of steps, and the draw that ends it."""

from .step import Candidates, History, SamplerContext, Step

__all__ = ["Candidates", "History", "SamplerContext", "Step"]
