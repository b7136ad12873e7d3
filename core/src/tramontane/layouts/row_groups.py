"""Integers whose groups run down the matrix: a scale for some rows and one column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .codes import PLANES, rounded_to, unpack
from .select import picked


@dataclass(frozen=True)
class RowGroups:
    """Integers times a scale for each group of rows in each column.

    weight = (code - zero) * scale, each result rounded to float32; of a row's group and a column.

    codes: planes, as in `Affine`. scale, zero: (groups, columns) float.
    group_of: (rows) int32, each row's group. rounded: as in `Affine`.
    """

    bits: int
    codes: tuple[Tensor, ...]
    scale: Tensor
    zero: Tensor
    group_of: Tensor
    rounded: torch.dtype | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.group_of.shape[0], self.scale.shape[1])

    @property
    def kind(self) -> str:
        return f"affine{self.bits}/row-groups"

    def tensors(self) -> dict[str, Tensor]:
        named = {f"codes{i}": plane for i, plane in enumerate(self.codes)}
        return {**named, "scale": self.scale, "zero": self.zero, "group_of": self.group_of}

    def rows(self, index: Tensor | slice) -> RowGroups:
        """Some of the rows; the scales of all groups stay."""
        kept = (self.scale, self.zero)
        return self.map(lambda t: t if any(t is each for each in kept) else picked(t, index))

    def map(self, change: Callable[[Tensor], Tensor]) -> RowGroups:
        """The same layout with every tensor changed."""
        return replace(
            self,
            codes=tuple(change(plane) for plane in self.codes),
            scale=change(self.scale),
            zero=change(self.zero),
            group_of=change(self.group_of),
        )

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), computed in float32, or as `rounded` says."""
        codes, group = unpack(self.codes, PLANES[self.bits]), self.group_of.long()
        weight = rounded_to(codes - picked(self.zero.float(), group), self.rounded)
        weight = rounded_to(weight * picked(self.scale.float(), group), self.rounded)
        return weight.to(dtype)
