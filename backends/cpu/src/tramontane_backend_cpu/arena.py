"""An arena for weights: large allocations, each for many matrices.

A matrix's arrays may be smaller than a huge page, and a page of 4 KiB costs as much to allocate as
one of 2 MiB. Each array is aligned to a cache line, so that no register is loaded from two lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import early_memory, huge_pages

LINE = 64
LEAST = 64 << 20
"""Minimum size of a slab in bytes; untouched parts take no memory."""


class Slabs:
    """An allocator of arrays, for about `expected` bytes in total."""

    def __init__(self, expected: int) -> None:
        self._size, self._expected = max(LEAST, expected * 5 // 4), expected
        ahead = early_memory.take()
        self._ahead = ahead is not None
        self._slab: Any = np.empty(0, np.uint8) if ahead is None else ahead
        self._used = -self._slab.ctypes.data % LINE

    def expect(self, nbytes: int) -> None:
        """Announce arrays of so many bytes."""
        self._expected += nbytes

    def take(self, shape: tuple[int, ...], kind: Any) -> Any:
        """Allocate an uninitialized array."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if self._used + size > len(self._slab):
            self.close()
            # numpy requests huge pages
            self._slab = np.empty(max(self._size, size) + LINE, np.uint8)
            huge_pages.settle(self._slab, self._expected)
            self._used = -self._slab.ctypes.data % LINE
        self._expected = max(0, self._expected - size)
        start = self._used
        self._used = start + -(-size // LINE) * LINE  # so that the next array is aligned too
        return self._slab[start : start + size].view(kind).reshape(shape)

    def close(self) -> None:
        """Return the unused part of preallocated memory for other arenas."""
        if self._ahead:
            early_memory.give_back(self._slab[self._used :])
            self._ahead = False


_now: list[Slabs] = []


def shared(nbytes: int) -> Slabs:
    """The arena of matrices that are packed one at a time, until `end_shared`: each would begin a
    huge page of its own, and leave most of it empty. nbytes: of the next matrix."""
    if not _now:
        _now.append(Slabs(0))
    _now[0].expect(nbytes)
    return _now[0]


def end_shared() -> None:
    """No more matrices are packed for this model."""
    while _now:
        _now.pop().close()


class NoMemory:
    """An allocator of placeholder arrays that take no memory; all elements are one number."""

    def take(self, shape: tuple[int, ...], kind: Any) -> Any:
        return np.ndarray(shape, kind, np.zeros(1, kind), strides=(0,) * len(shape))
