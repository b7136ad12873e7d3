"""Matrices as a file has them, before anything is translated.

A format's plugin may say, besides translating, where in its blocks the parts of an affine layout
lie. A backend that can read such a recipe takes the blocks straight to the order that its kernels
want, in one pass; for all others there is the translation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .layouts import Layout


@dataclass(frozen=True)
class Term:
    """Some bits of a block: the little-endian 32-bit word at byte `offset`, shifted right by
    `shift` (left where that is negative), under `mask`.

    spread: the four bits that `mask` leaves, the lowest, become the lowest bits of four bytes.
    """

    offset: int
    shift: int
    mask: int
    spread: bool = False


Quad: TypeAlias = tuple[Term, ...]
"""Four bytes, the first of them lowest: what its terms come to together."""


@dataclass(frozen=True)
class Half:
    """A float16 at byte `offset` of a block. negative: with the other sign."""

    offset: int
    negative: bool = False


@dataclass(frozen=True)
class Bytes:
    """Small integers of a block, four to a quad. less: subtracted from each, which makes them
    signed. signed: int8, else uint8."""

    quads: tuple[Quad, ...]
    less: int = 0
    signed: bool = False


@dataclass(frozen=True)
class Recipe:
    """How `count` weights in a block of `size` bytes are a piece of a row of an `Affine`.

    planes: for each of the layout's planes a quad for every four columns: their codes' part in that
      plane, not shifted. flip: bits of the codes in the first plane to turn over.
    scale, minimum: one number for each group of columns, a Half only where there is one group.
    """

    size: int
    count: int
    bits: int
    group: int
    planes: tuple[tuple[Quad, ...], ...]
    scale: Half | Bytes
    zero: int = 0
    flip: int = 0
    minimum: Half | Bytes | None = None
    super_scale: Half | None = None
    super_minimum: Half | None = None


@dataclass(frozen=True)
class Plain:
    """Numbers as a processor has them. dtype: float32, float16 or bfloat16."""

    dtype: torch.dtype
    count: int = 1

    @property
    def size(self) -> int:
        return self.dtype.itemsize


class Raw(Protocol):
    """Bytes that can be had in runs: an array, or a stretch of a file. A run holds until the
    next."""

    def __len__(self) -> int: ...

    def __getitem__(self, run: slice, /) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Stored:
    """A matrix (rows, columns) whose blocks lie row by row in `raw`.

    order: which rows are wanted, and in what order; None: all as they are.
    """

    raw: Raw
    shape: tuple[int, int]
    recipe: Recipe | Plain
    translate: Callable[[Raw, int, int], Layout]
    """(blocks, rows, columns) -> the layout. Raises CheckpointError for damaged numbers."""
    file: tuple[int, int] | None = None
    """A descriptor and an offset at which the same bytes can be read by who does so himself, for as
    long as the checkpoint is open."""
    order: Tensor | None = None

    @property
    def row_bytes(self) -> int:
        return self.shape[1] // self.recipe.count * self.recipe.size

    def rows(self, index: Tensor | slice) -> Stored:
        """Some of the rows, as `Layout.rows`; nothing is read."""
        order = torch.arange(self.shape[0]) if self.order is None else self.order
        order = order[index]
        return replace(self, order=order, shape=(len(order), self.shape[1]))

    def translated(self) -> Layout:
        """The layout itself. Reads the rows from the first that is wanted to the last."""
        if self.order is None:
            return self.translate(self.raw, *self.shape)
        first, last = int(self.order.min()), int(self.order.max()) + 1
        size = self.row_bytes
        part = self.raw[first * size : last * size]
        return self.translate(part, last - first, self.shape[1]).rows(self.order - first)

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), as `Layout.decode`."""
        return self.translated().decode(dtype)
