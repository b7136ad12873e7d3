"""Integers times a scale per group of columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .codes import PLANES, rounded_to, two_level, unpack
from .select import picked

OPTIONAL = ("minimum", "super_scale", "super_minimum")


@dataclass(frozen=True)
class Affine:
    """Integers times a scale per group of columns, plus a minimum per group.

    weight = scale * (code - zero) * factor + minimum, each result rounded to float32, with
    scale = super_scale * scale when there are two levels, and minimum likewise.

    codes: one uint8 plane (rows, columns * width / 8) for each width in PLANES[bits]; within a
      byte the first column has the lowest bits; a code's low bits come from the first plane.
    scale, minimum: (rows, columns / group), float for one level, int8 or uint8 for two.
    super_scale, super_minimum: (rows, columns / super_group) float, or None.
    zero: the code that means 0: one for all, or (rows, columns / group), which may be fractions.
    factor: one number for the whole matrix, usually 1.
    rounded: the dtype in which the format's own library computes, so that each of its results is
      rounded to it; only `decode` repeats that. None: float32.
    """

    bits: int
    group: int
    codes: tuple[Tensor, ...]
    scale: Tensor
    zero: int | Tensor = 0
    minimum: Tensor | None = None
    super_scale: Tensor | None = None
    super_minimum: Tensor | None = None
    factor: float = 1.0
    rounded: torch.dtype | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.scale.shape[0], self.scale.shape[1] * self.group)

    @property
    def kind(self) -> str:
        zero = self.zero if isinstance(self.zero, int) else "zeros"
        return affine_kind(
            self.bits, self.group, zero,
            two_level=self.super_scale is not None, minimum=self.minimum is not None,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        named = {f"codes{i}": plane for i, plane in enumerate(self.codes)}
        named["scale"] = self.scale
        if isinstance(self.zero, Tensor):
            named["zero"] = self.zero
        for name in OPTIONAL:
            if (value := getattr(self, name)) is not None:
                named[name] = value
        return named

    def rows(self, index: Tensor | slice) -> Affine:
        return self.map(lambda tensor: picked(tensor, index))

    def map(self, change: Callable[[Tensor], Tensor]) -> Affine:
        """The same layout with every tensor changed: moved to a device, rows picked."""
        return replace(
            self,
            codes=tuple(change(plane) for plane in self.codes),
            scale=change(self.scale),
            zero=change(self.zero) if isinstance(self.zero, Tensor) else self.zero,
            minimum=None if self.minimum is None else change(self.minimum),
            super_scale=None if self.super_scale is None else change(self.super_scale),
            super_minimum=None if self.super_minimum is None else change(self.super_minimum),
        )

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), computed in float32, or as `rounded` says."""
        rows, columns = self.shape
        codes = unpack(self.codes, PLANES[self.bits]).view(rows, -1, self.group)
        zero = self.zero.float()[..., None] if isinstance(self.zero, Tensor) else self.zero
        weight = rounded_to((codes - zero).float(), self.rounded)
        weight = weight * two_level(self.scale, self.super_scale)[..., None]
        weight = rounded_to(weight, self.rounded)
        if self.factor != 1:
            weight = weight * self.factor
        if self.minimum is not None:
            weight = weight + two_level(self.minimum, self.super_minimum)[..., None]
            weight = rounded_to(weight, self.rounded)
        return weight.view(rows, columns).to(dtype)


def affine_kind(bits: int, group: int, zero: int | str, *, two_level: bool, minimum: bool) -> str:
    """The name of an affine layout, such as "affine4/g32/1-level/zero". zero: "zeros" where each
    group has its own."""
    offset = "min" if minimum else zero if isinstance(zero, str) else "zero" if zero else "none"
    return f"affine{bits}/g{group}/{1 + two_level}-level/{offset}"
