"""Codes that are indices into a lookup table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .codes import PLANES, rounded_to, spread, two_level, unpack
from .select import picked


@dataclass(frozen=True)
class Codebook:
    """Codes that are indices into a lookup table, times a scale per group of columns.

    weight = scale * table[code], each product rounded to float32, with scale = super_scale * scale
    when there are two levels. 8-bit floats are codes into a table of all 256 values.

    bits: one of PLANES. codes: planes, as in `Affine`.
    table: (2^bits,) float32.
    scale: (rows, columns / group), any float dtype, or int8 or uint8 for two levels.
    super_scale: (rows, columns / super_group) float, or None.
    super_divides: whether scale = scale / super_scale instead.
    rounded: as in `Affine`.
    """

    bits: int
    group: int
    codes: tuple[Tensor, ...]
    table: Tensor
    scale: Tensor
    super_scale: Tensor | None = None
    super_divides: bool = False
    rounded: torch.dtype | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.scale.shape[0], self.scale.shape[1] * self.group)

    @property
    def kind(self) -> str:
        return codebook_kind(self.bits, self.group, two_level=self.super_scale is not None)

    def tensors(self) -> dict[str, Tensor]:
        named = {f"codes{i}": plane for i, plane in enumerate(self.codes)}
        named |= {"table": self.table, "scale": self.scale}
        return named if self.super_scale is None else {**named, "super_scale": self.super_scale}

    def rows(self, index: Tensor | slice) -> Codebook:
        return self.map(lambda t: t if t is self.table else picked(t, index))

    def map(self, change: Callable[[Tensor], Tensor]) -> Codebook:
        """The same layout with every tensor changed."""
        return replace(
            self,
            codes=tuple(change(plane) for plane in self.codes),
            table=change(self.table),
            scale=change(self.scale),
            super_scale=None if self.super_scale is None else change(self.super_scale),
        )

    def scales(self) -> Tensor:
        """Both levels in one: (rows, columns / group) float32."""
        if self.super_scale is not None and self.super_divides:
            return self.scale.float() / spread(self.super_scale, self.scale.shape[1])
        return two_level(self.scale, self.super_scale)

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), computed in float32, or as `rounded` says."""
        rows, columns = self.shape
        codes = unpack(self.codes, PLANES[self.bits]).view(rows, -1, self.group)
        weight = self.table[codes.long()] * self.scales()[..., None]
        return rounded_to(weight, self.rounded).view(rows, columns).to(dtype)


def codebook_kind(bits: int, group: int, *, two_level: bool) -> str:
    """The name of a layout with a table, such as "codebook4/g32/2-level"."""
    return f"codebook{bits}/g{group}/{1 + two_level}-level"
