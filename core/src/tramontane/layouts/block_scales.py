"""Scales of blocks, rows or a whole matrix as a scale for each row and each group of columns.

A block of (height, width) has one scale, and the last blocks may be cut off. In a layout each row
has its own scales: those of a block are repeated for its rows. Where width does not divide the
columns, groups are as large as the largest number that divides both, so that none crosses a border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod

from torch import Tensor

NARROW = 8
"""Groups of fewer columns are not worth their scales: such a matrix becomes dense, in float32."""


@dataclass(frozen=True)
class BlockScales:
    """How scales lie over matrices (rows, columns). height, width: of a block; group: columns that
    have one scale in each row of the layout, and divide `columns`."""

    rows: int
    columns: int
    height: int
    width: int

    @property
    def group(self) -> int:
        return gcd(self.columns, self.width)

    def spread(self, scale: Tensor) -> Tensor:
        """(..., block rows, block columns) -> (all rows, columns / group)."""
        if self.height > 1:
            scale = scale.repeat_interleave(self.height, -2)[..., : self.rows, :]
        if self.width > self.group:
            scale = scale.repeat_interleave(self.width // self.group, -1)
        return scale[..., : self.columns // self.group].flatten(0, -2)


def block_scales(
    shape: Sequence[int], scales: Sequence[int], block: Sequence[int] | None
) -> tuple[BlockScales, tuple[int, ...]] | None:
    """How scales of a shape lie over matrices of (..., rows, columns), and the shape (..., block
    rows, block columns) to view them in; None if they cannot. block: as the configuration says."""
    *stack, rows, columns = shape
    count = prod(scales)
    if count in (1, prod(stack)):
        each = (*stack, 1, 1) if count == prod(stack) else (1,) * (len(stack) + 2)
        return BlockScales(rows, columns, rows, columns), each
    if tuple(scales) == (rows,) and not stack:
        scales = (rows, 1)
    if len(scales) != len(shape) or list(scales[:-2]) != stack:
        return None
    grid = tuple(scales[-2:])
    if block is not None and grid == tuple(
        -(-n // b) for n, b in zip((rows, columns), block, strict=True)
    ):
        return BlockScales(rows, columns, min(block[0], rows), min(block[1], columns)), tuple(
            scales
        )
    if 0 in grid or rows % grid[0] or columns % grid[1]:
        return None
    return BlockScales(rows, columns, rows // grid[0], columns // grid[1]), tuple(scales)
