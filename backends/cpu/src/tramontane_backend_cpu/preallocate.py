"""Preloading before torch is imported: the import uses one core, the others are free."""

from __future__ import annotations

from . import early_memory
from .precompile import wish
from .step.interpreter import KERNELS
from .threads import usable


def expect(nbytes: int, threads: int | None) -> None:
    """Preallocate memory for `nbytes` bytes of weights, and compile the kernels that every model
    needs. Implements `backend.Expect`."""
    early_memory.expect(nbytes)
    wish(KERNELS, threads or usable(), more=True)  # if these are missing, so are all others
