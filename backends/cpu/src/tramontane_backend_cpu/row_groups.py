"""Matrices with a scale and a zero for some rows and one column, as the kernels read them.

    weight . x = code . (scale * x) - sum of zero * scale * x        of a row's group

So each group multiplies its plain codes with a vector of its own, in kernels that know nothing of
it. Rows of a group are put together and padded to blocks; each has one more unit of columns, whose
first code is 1, for the number that the group's vector has there: minus that sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tramontane.layouts import Affine, RowGroups

from .packing import KINDS, Packed, pack
from .step.pool import Pool
from .vector.tiles import ROWS, UNIT

FLOATS = ("f32", "f16", "bf16")


@dataclass(frozen=True)
class Grouped:
    """A packed matrix as a layout of the backend's own.

    packed: the codes, their rows by group, one more unit of columns. firsts: (groups + 1) int64,
    the first block of each group. rows_at: int64, which of the matrix's rows each packed one is, -1
    for those that pad. places: (rows) int64, where each row is packed. scale, zero: (groups,
    columns). group_of: (rows) int64.
    """

    packed: Packed
    firsts: Any
    rows_at: Any
    places: Any
    scale: Tensor
    zero: Tensor
    group_of: Tensor
    kind: str

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.places), self.scale.shape[1])

    def tensors(self) -> dict[str, Tensor]:
        arrays = {"firsts": self.firsts, "rows_at": self.rows_at, "places": self.places}
        named = {name: torch.from_numpy(array) for name, array in arrays.items()}
        named |= {name: torch.from_numpy(each) for name, each in self.packed.distinct().items()}
        del named["scale"]
        own = {"ones": torch.from_numpy(self.packed.arrays["scale"]), "scale": self.scale}
        return {**named, **own, "zero": self.zero, "group_of": self.group_of}


def can_group(weight: RowGroups) -> bool:
    """Whether there is a kernel for it."""
    kinds = [KINDS.get(each.dtype) in FLOATS for each in (weight.scale, weight.zero)]
    return all(kinds) and weight.scale.device.type == "cpu" and 0 not in weight.shape


def grouped(weight: RowGroups, pool: Pool) -> Grouped:
    """Repack a matrix that `can_group`."""
    rows, columns = weight.shape
    group_of = weight.group_of.long()
    counts = torch.bincount(group_of, minlength=len(weight.scale))
    blocks = -(-counts // ROWS)
    firsts = torch.cat([blocks.new_zeros(1), blocks.cumsum(0)])
    order = group_of.argsort(stable=True)
    before = torch.cat([counts.new_zeros(1), counts.cumsum(0)])[group_of[order]]
    packed_at = firsts[group_of[order]] * ROWS + torch.arange(rows) - before
    rows_at = torch.full((int(firsts[-1]) * ROWS,), -1)
    rows_at[packed_at] = order
    places = torch.empty(rows, dtype=torch.int64)
    places[order] = packed_at
    wide = -(-columns // UNIT) * UNIT + UNIT
    planes = []
    for index, plane in enumerate(weight.codes):
        width = 8 * plane.shape[1] // columns
        made = torch.zeros(len(rows_at), wide * width // 8, dtype=torch.uint8)
        made[packed_at, : plane.shape[1]] = plane[order]
        if index == 0:
            made[:, (wide - UNIT) * width // 8] = 1
        planes.append(made)
    ones = torch.ones(len(rows_at), 1, dtype=torch.uint8)
    packed = pack(Affine(weight.bits, wide, tuple(planes), ones), pool)
    return Grouped(
        packed, firsts.numpy(), rows_at.numpy(), places.numpy(), weight.scale.contiguous(),
        weight.zero.contiguous(), group_of, weight.kind,
    )  # fmt: skip
