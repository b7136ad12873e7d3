"""One parallel region at a time, with as many threads as were asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from .numba_setup import numba

# numba's fallback threading layer ends the process when two Python threads enter it together
_REGION = threading.Lock()


def set_threads(count: int) -> int:
    """Threads of numba and of torch; returns what was possible."""
    most = int(numba.config.NUMBA_NUM_THREADS)
    count = max(1, min(count, most))
    with _REGION:
        numba.set_num_threads(count)
    torch.set_num_threads(count)
    _threads[0] = count
    return count


_threads = [0]


SMALL = 1 << 21
"""Multiplications up to which one thread is quicker than waking a second."""


def run(work: int, kernel: Callable[..., None], *arguments: Any) -> None:
    """Call a parallel kernel that does about `work` multiplications."""
    with _REGION:
        if _threads[0]:
            # numba counts per Python thread
            numba.set_num_threads(1 if work < SMALL else _threads[0])
        kernel(*arguments)
