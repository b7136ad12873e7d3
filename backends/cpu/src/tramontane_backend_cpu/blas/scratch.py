"""Memory for matrices that are widened panel by panel: one for all products of a process."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tramontane_backend_cpu.step.memory import aligned


def floats_for(numbers: int, threads: int) -> tuple[Any, int]:
    """An array with so many float32 for each thread, and the bytes of one thread's; None and 0 for
    none. Steps run one at a time, so products of one size share it."""
    if numbers == 0:
        return None, 0
    return _made(numbers, threads), 4 * numbers


@cache
def _made(numbers: int, threads: int) -> Any:
    return aligned(numbers * threads, np.float32)
