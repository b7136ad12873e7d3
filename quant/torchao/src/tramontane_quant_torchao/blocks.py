"""Which weights a scale belongs to: those of a block, whose sizes are said for each dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts.block_scales import BlockScales


@dataclass(frozen=True)
class Blocks:
    """How scales (*grid) lie over matrices (..., rows, columns), all below each other."""

    stack: tuple[int, ...]
    grid: tuple[int, ...]
    lying: BlockScales

    @property
    def group(self) -> int:
        return self.lying.group

    def spread(self, scale: Tensor) -> Tensor:
        """Scales, in any shape of as many -> (all rows, columns / group)."""
        placed = scale.reshape(self.grid).expand(*self.stack, -1, -1)
        return self.lying.spread(placed)


def blocks_of(shape: Sequence[int], block: Sequence[int], count: int, path: str) -> Blocks:
    """shape: (..., rows, columns) of the weights. block: a block's sizes; count: how many scales
    there are. Raises CheckpointError."""
    if len(shape) < 2 or len(block) != len(shape) or any(
        n % b for n, b in zip(shape, block, strict=True)
    ):  # fmt: skip
        raise CheckpointError(f"{path}: blocks of {list(block)} do not fill weights of {shape}")
    grid = tuple(n // b for n, b in zip(shape, block, strict=True))
    if prod(grid) != count:
        raise CheckpointError(
            f"{path}: {count} scales do not belong to weights of {shape} in blocks of {list(block)}"
        )
    *stack, rows, columns = shape
    return Blocks(tuple(stack), grid, BlockScales(rows, columns, block[-2], block[-1]))


def by_scales(shape: Sequence[int], scales: Sequence[int], path: str) -> Blocks:
    """The same, for blocks that only the shape of the scales tells. Raises CheckpointError."""
    if prod(scales) == 1:
        scales = (1,) * len(shape)
    if len(scales) != len(shape) or 0 in scales or any(
        n % s for n, s in zip(shape, scales, strict=True)
    ):  # fmt: skip
        raise CheckpointError(f"{path}: scales of {scales} do not belong to weights of {shape}")
    block = [n // s for n, s in zip(shape, scales, strict=True)]
    return blocks_of(shape, block, prod(scales), path)
