"""A function's result, computed in a background thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundResult(Generic[T]):
    """The result of a function that runs in a thread from the first call of `started` on."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._future: Future[T] | None = None

    def started(self) -> None:
        """Start the thread, if it is not started. Raises the function's exception, if it already
        failed."""
        if self._future is None:
            pool = ThreadPoolExecutor(1, "tramontane-loader")
            self._future = pool.submit(self._function)
            pool.shutdown(wait=False)
        elif self._future.done():
            self._future.result()

    def result(self) -> T:
        """Wait for the result. Raises the function's exception."""
        self.started()
        assert self._future is not None
        return self._future.result()
