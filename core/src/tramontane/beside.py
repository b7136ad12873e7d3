"""Work that is done beside other work, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """A function's result, computed from `started` on."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._future: Future[T] | None = None

    def started(self) -> None:
        """Begin, if it has not begun. Raises what the function raised, if it already has."""
        if self._future is None:
            pool = ThreadPoolExecutor(1, "tramontane-loader")
            self._future = pool.submit(self._function)
            pool.shutdown(wait=False)
        elif self._future.done():
            self._future.result()

    def result(self) -> T:
        """What it came to, or raises what it raised."""
        self.started()
        assert self._future is not None
        return self._future.result()
