"""LlamaIndex runs models by Tramontane, in the same process."""

from .in_process import Tramontane

__all__ = ["Tramontane"]
