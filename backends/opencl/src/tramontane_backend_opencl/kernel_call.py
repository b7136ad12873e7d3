"""How kernels are started, whatever the device: what OpenCL and Metal each have one of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

Argument: TypeAlias = "Tensor | int | float"
KINDS = {
    torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.uint8: 3, torch.int8: 4,
}  # fmt: skip
"""Types of numbers as the kernels' source numbers them."""


@dataclass(frozen=True)
class Sizes:
    """What kernels are compiled for on a device. lanes: work items of a group, which share a sum's
    terms, a power of two. each: rows of a matrix for one group. rows: of x, that share a decoded
    weight in products of many. run: elements for one group of element by element kernels."""

    lanes: int
    each: int
    rows: int
    run: int


PROCESSOR = Sizes(lanes=1, each=16, rows=4, run=2048)
"""Where a work group is a loop of one core: no lanes, long vectors."""
GRAPHICS = Sizes(lanes=32, each=1, rows=4, run=256)


class Kernels(Protocol):
    """A device's kernels, compiled as they are asked for."""

    sizes: Sizes

    def run(
        self, kernel: str, grid: Sequence[int], arguments: Sequence[Argument], **constants: Any
    ) -> None:
        """Start `grid` work groups, up to three sides, each of `sizes.lanes`. arguments: tensors of
        the device, integers of 32 bits, floats. constants: macros of the source."""
        ...
