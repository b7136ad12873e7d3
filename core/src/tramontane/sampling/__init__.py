"""Sampling: the chain of steps, and the draw that ends it."""

from .step import Candidates, Forces, History, Prepares, SamplerContext, Step

__all__ = ["Candidates", "Forces", "History", "Prepares", "SamplerContext", "Step"]
