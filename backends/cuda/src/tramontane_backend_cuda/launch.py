"""How kernels are started, so that what records a step sees them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor

Started: TypeAlias = Callable[[Callable[[], None]], None]
_watching: ContextVar[Started | None] = ContextVar("watching", default=None)


def launch(
    kernel: Any, grid: Sequence[int], *arguments: Any, warps: int = 4, **constants: Any
) -> None:
    """Start `grid` programs of a Triton kernel, on the device of its first argument; none where one
    of the grid's sides is 0."""
    if 0 in grid:
        return

    first: Tensor = arguments[0]

    def start() -> None:
        if first.is_cuda and first.device.index != torch.cuda.current_device():
            with torch.cuda.device(first.device):  # Triton starts kernels on the current one
                kernel[tuple(grid)](*arguments, num_warps=warps, **constants)
        else:
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
