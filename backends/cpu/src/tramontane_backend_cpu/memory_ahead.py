"""Memory for weights that a thread gets while the process imports what it needs.

A fresh page must be found and cleared, on virtual machines by the host too: for a gigabyte that
may take as long as all imports, which have one core to themselves and leave another.
"""

from __future__ import annotations

import mmap
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from tramontane import memory

from . import page_size

LEAST = 256 << 20
"""Bytes of weights from which it is worth a thread."""
SHARE = 2
"""Of the memory that is free, one in so many may be taken before weights are looked at."""


@dataclass
class _Ahead:
    """One stretch of memory. rest: what nobody has taken. got: bytes of it that are there."""

    rest: Any
    got: int = 0
    enough: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def get(self) -> None:
        whole = self.rest
        first, end = _pages(whole)
        for start in range(first, end, page_size.STEP):
            size = min(page_size.STEP, end - start)
            if self.enough.is_set() or not page_size.get(whole, start, size):
                return
            self.got += size

    def end(self) -> None:
        """Let go of what is left."""
        self.enough.set()
        if self.thread is not None:
            self.thread.join()
        first, end = _pages(self.rest)
        if end > first:
            page_size.advise(first, end - first, mmap.MADV_DONTNEED)


_now: list[_Ahead] = []


def expect(nbytes: int) -> None:
    """Begin to get memory for so many bytes of weights."""
    if _now or sys.platform != "linux" or not LEAST <= nbytes <= memory.free() // SHARE:
        return
    import numpy as np

    ahead = _Ahead(np.empty(nbytes, np.uint8))  # numpy asks for large pages
    ahead.thread = threading.Thread(target=ahead.get, name="tramontane-memory", daemon=True)
    _now.append(ahead)
    ahead.thread.start()


def held() -> int:
    """Bytes of memory that are no more free, but are for weights which have not come yet."""
    return sum(ahead.got for ahead in _now)


def take() -> Any:
    """The memory that was got, None where there is none; `give_back` what is not used."""
    return _now[0].rest if _now else None


def give_back(rest: Any) -> None:
    """The rest of what was taken."""
    if _now:
        _now[0].rest = rest


def forget() -> None:
    """No more weights will come."""
    while _now:
        _now.pop().end()


def _pages(array: Any) -> tuple[int, int]:
    """Where its first whole page begins and its last one ends."""
    page, first = mmap.PAGESIZE, array.ctypes.data
    return -(-first // page) * page, (first + len(array)) // page * page
