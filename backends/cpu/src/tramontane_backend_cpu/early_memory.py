"""Preallocate memory for weights in a thread while the process imports its libraries.

A new page must be allocated and cleared, on virtual machines by the host too: for a gigabyte that
may take as long as all imports, which use only one core.
"""

from __future__ import annotations

import mmap
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from tramontane import memory

from . import huge_pages

LEAST = 256 << 20
"""Minimum bytes of weights for which preallocation is worthwhile."""
SHARE = 2
"""At most 1 / SHARE of the free memory is preallocated."""


@dataclass
class _Preallocated:
    """A preallocated array. rest: the part that is not used yet. got: bytes with mapped pages."""

    rest: Any
    got: int = 0
    enough: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def get(self) -> None:
        array = self.rest
        first, end = _pages(array)
        for start in range(first, end, huge_pages.STEP):
            size = min(huge_pages.STEP, end - start)
            if self.enough.is_set() or not huge_pages.get(array, start, size):
                return
            self.got += size

    def end(self) -> None:
        """Stop the thread and release the unused part."""
        self.enough.set()
        if self.thread is not None:
            self.thread.join()
        first, end = _pages(self.rest)
        if end > first:
            huge_pages.advise(first, end - first, mmap.MADV_DONTNEED)


_now: list[_Preallocated] = []


def expect(nbytes: int) -> None:
    """Start to allocate memory for `nbytes` bytes of weights."""
    if _now or sys.platform != "linux" or not LEAST <= nbytes <= memory.free() // SHARE:
        return
    import numpy as np

    ahead = _Preallocated(np.empty(nbytes, np.uint8))  # numpy requests huge pages
    ahead.thread = threading.Thread(target=ahead.get, name="tramontane-memory", daemon=True)
    _now.append(ahead)
    ahead.thread.start()


def held() -> int:
    """Preallocated bytes that are reserved for weights which are not loaded yet."""
    return sum(ahead.got for ahead in _now)


def take() -> Any:
    """The preallocated array, or None; pass the unused part to `give_back`."""
    return _now[0].rest if _now else None


def give_back(rest: Any) -> None:
    """Return the unused part of the array from `take`."""
    if _now:
        _now[0].rest = rest


def forget() -> None:
    """Release the unused memory: no more weights will be loaded."""
    while _now:
        _now.pop().end()


def _pages(array: Any) -> tuple[int, int]:
    """Addresses of the start of an array's first complete page, and of the end of its last one."""
    page, first = mmap.PAGESIZE, array.ctypes.data
    return -(-first // page) * page, (first + len(array)) // page * page
