"""Packed layouts: the in-memory representations of weights, independent of the file format.

A format's plugin converts its bytes into one of these without rounding; a backend has kernels for
each. `decode` is the reference implementation for both. A matrix has shape (rows, columns): a
linear layer's output features by its input features. On the way to a
model a layout's tensors may have any strides, as a transposed view has; those in a model are
contiguous, so that kernels may take their addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from .bit_planes import PLANES as PLANES


@dataclass(frozen=True)
class Dense:
    """Unquantized weights. data: (rows, columns) or any other shape, any float dtype."""

    data: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def kind(self) -> str:
        return str(self.data.dtype).removeprefix("torch.")

    def tensors(self) -> dict[str, Tensor]:
        return {"data": self.data}

    def rows(self, index: Tensor | slice) -> Dense:
        return Dense(picked(self.data, index))

    def map(self, change: Callable[[Tensor], Tensor]) -> Dense:
        return Dense(change(self.data))

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.data.to(dtype)


@dataclass(frozen=True)
class Affine:
    """Integers times a scale per group of columns, plus a minimum per group.

    weight = scale * (code - zero) + minimum, each product rounded to float32, with
    scale = super_scale * scale when there are two levels, and minimum likewise.

    codes: one uint8 plane (rows, columns * width / 8) for each width in PLANES[bits]; within a
      byte the first column has the lowest bits; a code's low bits come from the first plane.
    scale, minimum: (rows, columns / group), float for one level, int8 or uint8 for two.
    super_scale, super_minimum: (rows, columns / super_group) float, or None.
    zero: the code that means 0.
    """

    bits: int
    group: int
    codes: tuple[Tensor, ...]
    scale: Tensor
    zero: int = 0
    minimum: Tensor | None = None
    super_scale: Tensor | None = None
    super_minimum: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.scale.shape[0], self.scale.shape[1] * self.group)

    @property
    def kind(self) -> str:
        return affine_kind(
            self.bits, self.group, self.zero,
            two_level=self.super_scale is not None, minimum=self.minimum is not None,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        named = {f"codes{i}": plane for i, plane in enumerate(self.codes)}
        for name in ("scale", "minimum", "super_scale", "super_minimum"):
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
            minimum=None if self.minimum is None else change(self.minimum),
            super_scale=None if self.super_scale is None else change(self.super_scale),
            super_minimum=None if self.super_minimum is None else change(self.super_minimum),
        )

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), computed in float32."""
        rows, columns = self.shape
        codes = unpack(self.codes, PLANES[self.bits]).view(rows, -1, self.group)
        weight = (codes - self.zero).float() * two_level(self.scale, self.super_scale)[..., None]
        if self.minimum is not None:
            weight = weight + two_level(self.minimum, self.super_minimum)[..., None]
        return weight.view(rows, columns).to(dtype)


@dataclass(frozen=True)
class Codebook:
    """Codes that are indices into a lookup table, times a scale per group of columns.

    weight = scale * table[code], each product rounded to float32, with scale = super_scale * scale
    when there are two levels. 8-bit floats are codes into a table of all 256 values.

    bits: 4 or 8. codes: one plane, as in `Affine`.
    table: (2^bits,) float32.
    scale: (rows, columns / group), any float dtype, or int8 or uint8 for two levels.
    super_scale: (rows, columns / super_group) float, or None.
    """

    bits: int
    group: int
    codes: tuple[Tensor, ...]
    table: Tensor
    scale: Tensor
    super_scale: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.scale.shape[0], self.scale.shape[1] * self.group)

    @property
    def kind(self) -> str:
        levels = 1 if self.super_scale is None else 2
        return f"codebook{self.bits}/g{self.group}/{levels}-level"

    def tensors(self) -> dict[str, Tensor]:
        named = {"codes0": self.codes[0], "table": self.table, "scale": self.scale}
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

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), computed in float32."""
        rows, columns = self.shape
        codes = unpack(self.codes, PLANES[self.bits]).view(rows, -1, self.group)
        scale = two_level(self.scale, self.super_scale)[..., None]
        return (self.table[codes.long()] * scale).view(rows, columns).to(dtype)


Layout: TypeAlias = Dense | Affine | Codebook


def affine_kind(bits: int, group: int, zero: int, *, two_level: bool, minimum: bool) -> str:
    """The name of an affine layout, such as "affine4/g32/1-level/zero"."""
    offset = "min" if minimum else "zero" if zero else "none"
    return f"affine{bits}/g{group}/{1 + two_level}-level/{offset}"


def below(layouts: Sequence[Layout]) -> Layout:
    """Concatenate matrices (rows_i, columns) of one kind along rows -> (sum of rows_i, columns).
    Raises ValueError."""
    first = layouts[0]
    if len({(layout.kind, layout.shape[1:]) for layout in layouts}) > 1:
        raise ValueError("its matrices are not stored alike")
    named = [layout.tensors() for layout in layouts]
    # compared as bytes: tables of 8-bit floats contain NaN, which is not equal to itself
    if len({each["table"].numpy().tobytes() for each in named if "table" in each}) > 1:
        raise ValueError("its matrices have tables of their own")
    parts = iter(
        [
            tensor if name == "table" else _joined([each[name] for each in named])
            for name, tensor in named[0].items()
        ]
    )
    # `map` visits the tensors in the order of `tensors`
    return first.map(lambda _: next(parts))


def contiguous(layout: Layout) -> Layout:
    """The same matrix (rows, columns), its tensors contiguous; only those with other strides are
    copied."""
    return layout.map(torch.Tensor.contiguous)


# shapes are checked with meta tensors, for which torch implements indexing, `cat` and sums in
# Python, and imports its compiler to run them, which takes half a second; so avoid these here


def picked(tensor: Tensor, index: Tensor | slice) -> Tensor:
    """Selected rows of a tensor (rows, ...). index: (n) int64 or a slice -> (n, ...)."""
    return tensor[index] if isinstance(index, slice) else tensor.index_select(0, index)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors (rows_i, ...) along rows."""
    counts = [len(tensor) for tensor in tensors]
    joined = tensors[0].new_empty((sum(counts), *tensors[0].shape[1:]))
    for part, tensor in zip(joined.split(counts), tensors, strict=True):
        part.copy_(tensor)
    return joined


def nbytes(layout: Layout) -> int:
    """The size in memory in bytes of a layout, (rows, columns) or any other shape."""
    return sum(tensor.numel() * tensor.element_size() for tensor in layout.tensors().values())


def two_level(value: Tensor, above: Tensor | None) -> Tensor:
    """Scales or minimums in float32. value: (rows, groups), above: (rows, super_groups) factors or
    None -> (rows, groups)."""
    if above is None:
        return value.float()
    per_super = value.shape[1] // above.shape[1]
    return value.float() * above.float().repeat_interleave(per_super, 1)


def unpack(planes: tuple[Tensor, ...], widths: tuple[int, ...]) -> Tensor:
    """Unpack bit planes, (rows, columns * width / 8) uint8 each, to codes (rows, columns) int16."""
    codes: Tensor | None = None
    shift = 0
    for plane, width in zip(planes, widths, strict=True):
        steps = torch.arange(0, 8, width, dtype=torch.uint8, device=plane.device)
        part = (plane[..., None] >> steps) & ((1 << width) - 1)
        part = part.flatten(-2).to(torch.int16) << shift
        codes = part if codes is None else codes | part
        shift += width
    assert codes is not None
    return codes


def pack(codes: Tensor, bits: int) -> tuple[Tensor, ...]:
    """Pack unsigned codes (rows, columns), columns a multiple of 8, into planes of PLANES[bits]
    bits, (rows, columns * width / 8) uint8 each."""
    planes = []
    codes = codes.to(torch.int16)
    for width in PLANES[bits]:
        part = (codes & ((1 << width) - 1)).unflatten(-1, (-1, 8 // width))
        shifts = torch.arange(0, 8, width, dtype=torch.int16, device=codes.device)
        planes.append((part << shifts).sum(-1).to(torch.uint8))
        codes = codes >> width
    return tuple(planes)
