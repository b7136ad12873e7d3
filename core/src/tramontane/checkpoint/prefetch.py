"""Prefetch: tensors are read and converted by several threads, and yielded in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
READERS = 2
"""While one thread waits for the disk or the GIL, the other converts."""


def read_ahead(
    read: Callable[[K], V], names: Sequence[K], readers: int = READERS
) -> Iterator[tuple[K, V]]:
    """Yield (name, read(name)) for each name; a few are read in advance.

    The first exception, in the order of the names, is raised and stops the iteration.
    """
    remaining = iter(names)
    waiting: deque[tuple[K, Future[V]]] = deque()
    with ThreadPoolExecutor(readers, "tramontane-read") as pool:
        try:
            while True:
                for name in islice(remaining, 2 * readers - len(waiting)):
                    waiting.append((name, pool.submit(read, name)))
                if not waiting:
                    return
                name, future = waiting.popleft()
                yield name, future.result()
        finally:
            pool.shutdown(cancel_futures=True)
