"""Memory for weights: large pieces, for many matrices each.

A matrix's arrays may be smaller than a large page, and a page of 4 KiB costs as much to get as one
of 2 MiB. Each array begins a line of the cache, so that no register is loaded from two of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import memory_ahead, page_size

LINE = 64
LEAST = 64 << 20
"""Bytes of a slab at least; what is never touched takes no memory."""


class Slabs:
    """Arrays of an uncertain number of bytes, about `expected` in all."""

    def __init__(self, expected: int) -> None:
        self._size, self._expected = max(LEAST, expected * 5 // 4), expected
        ahead = memory_ahead.take()
        self._ahead = ahead is not None
        self._slab: Any = np.empty(0, np.uint8) if ahead is None else ahead
        self._used = -self._slab.ctypes.data % LINE

    def take(self, shape: tuple[int, ...], kind: Any) -> Any:
        """An array whose numbers are whatever was there."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if self._used + size > len(self._slab):
            self.close()
            # numpy asks the system for large pages
            self._slab = np.empty(max(self._size, size) + LINE, np.uint8)
            page_size.settle(self._slab, self._expected)
            self._used = -self._slab.ctypes.data % LINE
        self._expected = max(0, self._expected - size)
        start = self._used
        self._used = start + -(-size // LINE) * LINE  # the first begins a line, and so do all
        return self._slab[start : start + size].view(kind).reshape(shape)

    def close(self) -> None:
        """Leave what was got ahead and is not used to those who come next."""
        if self._ahead:
            memory_ahead.give_back(self._slab[self._used :])
            self._ahead = False


class NoMemory:
    """Arrays that are all one number, for who only wants to know what they are like."""

    def take(self, shape: tuple[int, ...], kind: Any) -> Any:
        return np.ndarray(shape, kind, np.zeros(1, kind), strides=(0,) * len(shape))
