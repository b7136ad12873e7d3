"""LlamaIndex runs models by Tramontane, in the same process."""

from .base import Tramontane

__all__ = ["Tramontane"]
