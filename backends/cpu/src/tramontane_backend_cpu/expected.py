"""What begins before torch is imported, which has one core to itself and leaves the others."""

from __future__ import annotations

from . import memory_ahead
from .compile_ahead import wish
from .step.interpreter import KERNELS
from .threads import usable


def expect(nbytes: int, threads: int | None) -> None:
    """Get memory for so many bytes of weights, and compile what every model needs. Implements
    `backend.Expect`."""
    memory_ahead.expect(nbytes)
    wish(KERNELS, threads or usable(), more=True)  # where these are missing all others are
