"""One HQQ layer as a layout.

    weight = (code - zero) * scale,  each result rounded to compute_dtype

The matrix is reshaped before it is quantized, to (groups, group_size) where axis is 1, and to
(group_size, groups) where it is 0. So a group is a run of neighbours where axis is 1, within a row
if rows are whole groups: `Affine`. Where axis is 0, number i of the flat matrix belongs to group
i mod groups: if group_size divides the rows, groups run down the matrix, and row r has the scales
of r mod (rows / group_size): `RowGroups`. What is neither is decoded to `Dense`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Dense, Layout, RowGroups, pack

from .packing import PACKINGS, codes_of


@dataclass(frozen=True)
class Matrix:
    """One layer as stored. words: packed codes. scale, zero: one for each group, any shape.
    group: 0 where the whole matrix has one."""

    path: str
    shape: tuple[int, int]
    words: Tensor
    scale: Tensor
    zero: Tensor
    bits: float
    group: int
    axis: int
    packing: str
    dtype: torch.dtype

    def layout(self) -> Layout:
        """Raises CheckpointError for parts that do not belong together."""
        rows, columns = self.shape
        numbers = self._codes()
        codes = numbers.reshape(rows, columns)
        bits, rounded = max(2, ceil(self.bits)), None if self.dtype == torch.float32 else self.dtype
        scale, zero = (each.flatten().to(self.dtype) for each in (self.scale, self.zero))
        how = arrangement(self.shape, self.group, self.axis)
        if how == "rows":
            width = self.group if 0 < self.group < columns else columns
            scale, zero = self._by_row(scale), self._by_row(zero)
            return Affine(bits, width, pack(codes, bits), scale, zero=zero, rounded=rounded)
        if how == "down":
            apart = max(1, rows // self.group)
            group_of = torch.arange(rows, dtype=torch.int32) % apart
            scale, zero = self._by_column(scale, apart), self._by_column(zero, apart)
            return RowGroups(bits, pack(codes, bits), scale, zero, group_of, rounded)
        flat = (1, -1) if self.axis == 0 else (-1, 1)
        apart_from_zero = numbers.to(self.dtype) - zero.view(flat)
        return Dense((apart_from_zero * scale.view(flat)).view(rows, columns))

    def _by_row(self, values: Tensor) -> Tensor:
        """(groups) or (1) -> (rows, groups in a row)."""
        rows, columns = self.shape
        if not self.group:
            return values.expand(rows).reshape(rows, 1)
        return values.repeat_interleave(max(1, self.group // columns)).view(rows, -1)

    def _by_column(self, values: Tensor, apart: int) -> Tensor:
        """(groups) -> (apart, columns), repeated where a group has several columns."""
        table = values.view(apart, -1)
        return table.repeat(1, self.shape[1] // table.shape[1])

    def _codes(self) -> Tensor:
        """(group, groups) or (groups, group), or as the matrix is."""
        count = prod(self.shape)
        group = self.group or self.shape[1]
        if self.axis not in (0, 1):
            raise CheckpointError(f"{self.path}: axis={self.axis} is neither 0 nor 1")
        if PACKINGS.get(self.bits) != self.packing:
            raise CheckpointError(
                f"{self.path}: nbits={self.bits} in the packing {self.packing!r} is none of "
                f"{', '.join(f'{bits} in {name}' for bits, name in PACKINGS.items())}"
            )
        if count % group or self.shape[1] % 8:
            raise CheckpointError(
                f"{self.path}: {self.shape} is no multiple of its group of {group}, or of 8 columns"
            )
        groups = count // group if self.group else 1
        for name, tensor in (("scale", self.scale), ("zero", self.zero)):
            if tensor.numel() != groups or not tensor.is_floating_point():
                raise CheckpointError(
                    f"{self.path}: {name} is {tensor.dtype} {tuple(tensor.shape)}; {self.shape} in "
                    f"groups of {group} needs {groups} floats"
                )
        rows = group if self.axis == 0 and self.group else count // group
        codes = codes_of(self.words, self.packing, rows, count // rows, self.path)
        most = round(2**self.bits - 1)
        if (found := int(codes.max())) > most:
            raise CheckpointError(
                f"{self.path}: it has codes up to {found}, and {self.bits} bits end at {most}"
            )
        return codes


def arrangement(shape: tuple[int, ...], group: int, axis: object) -> str:
    """ "rows" where groups lie within rows, or are made of whole ones; "down" where they run down
    the matrix; "dense" where no layout has them."""
    rows, columns = shape
    if not group or (axis == 1 and (columns % group == 0 or group % columns == 0)):
        return "rows"
    if axis == 0 and (rows % group == 0 or (group % rows == 0 and rows * columns % group == 0)):
        return "down"
    return "dense"
