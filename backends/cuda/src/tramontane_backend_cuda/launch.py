"""How kernels are started, so that what records a step sees them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

Started: TypeAlias = Callable[[Callable[[], None]], None]
_watching: ContextVar[Started | None] = ContextVar("watching", default=None)


def launch(
    kernel: Any, grid: Sequence[int], *arguments: Any, warps: int = 4, **constants: Any
) -> None:
    """Start `grid` programs of a Triton kernel; none where one of its sides is 0."""
    if 0 in grid:
        return

    def start() -> None:
        kernel[tuple(grid)](*arguments, num_warps=warps, **constants)

    start()
    if (watch := _watching.get()) is not None:
        watch(start)


@contextmanager
def watched(by: Started) -> Iterator[None]:
    """While entered, each kernel that was started is told to `by`, as a function that starts it
    again on the same memory."""
    before = _watching.set(by)
    try:
        yield
    finally:
        _watching.reset(before)
