"""Tensors read and translated by several threads, handed over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
READERS = 2
"""While one waits for the disk or for Python's lock, the other translates."""


def read_ahead(
    read: Callable[[K], V], names: Sequence[K], readers: int = READERS
) -> Iterator[tuple[K, V]]:
    """(name, read(name)) for each name, a few of them read before they are asked for.

    The first error, in the order of the names, ends it.
    """
    left = iter(names)
    waiting: deque[tuple[K, Future[V]]] = deque()
    with ThreadPoolExecutor(readers, "tramontane-read") as pool:
        try:
            while True:
                for name in islice(left, 2 * readers - len(waiting)):
                    waiting.append((name, pool.submit(read, name)))
                if not waiting:
                    return
                name, future = waiting.popleft()
                yield name, future.result()
        finally:
            pool.shutdown(cancel_futures=True)
