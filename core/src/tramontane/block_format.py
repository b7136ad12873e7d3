"""Matrices as stored in a file, before they are converted to a layout.

In addition to converting, a format's plugin may describe with a recipe where the parts of an affine
layout are in its blocks. A backend that supports recipes repacks the blocks directly into the order
of its kernels, in one pass; all others use the conversion.
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
    `shift` (left if negative), and masked with `mask`.

    spread: the lowest four bits, which `mask` selects, become the lowest bits of four bytes.
    """

    offset: int
    shift: int
    mask: int
    spread: bool = False


@dataclass(frozen=True)
class Lookup:
    """Four bytes, little-endian, that an index names in one of the recipe's tables. index: terms
    whose sum it is."""

    index: tuple[Term, ...]
    table: int


Quad: TypeAlias = tuple[Term | Lookup, ...]
"""Four bytes, little-endian: the sum of its terms."""


@dataclass(frozen=True)
class Half:
    """A float16 at byte `offset` of a block. negative: its sign is inverted."""

    offset: int
    negative: bool = False


@dataclass(frozen=True)
class Bytes:
    """Small integers of a block, four to a quad. less: an offset that is subtracted from each.
    signed: int8, else uint8."""

    quads: tuple[Quad, ...]
    less: int = 0
    signed: bool = False


@dataclass(frozen=True)
class Recipe:
    """How a block of `size` bytes encodes `count` consecutive weights of a row of an `Affine` or a
    `Codebook`.

    planes: for each of the layout's bit planes a quad for every four columns: their codes' bits in
      that plane, not shifted. flip: bits of the codes in the first plane to invert.
    scale, minimum: one number for each group of columns, a Half only where there is one group.
    tables: of uint32, little-endian, one after the other, for each `Lookup`. numbers: of a
      `Codebook`; empty: an `Affine`.
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
    tables: tuple[bytes, ...] = ()
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plain:
    """Unquantized weights. dtype: float32, float16 or bfloat16."""

    dtype: torch.dtype
    count: int = 1

    @property
    def size(self) -> int:
        return self.dtype.itemsize


class Raw(Protocol):
    """Bytes that can be sliced: an array, or a range of a file. A slice is valid until the next
    one is taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, run: slice, /) -> NDArray[np.uint8]: ...


AT_ONCE = 1 << 22
"""Bytes of whole rows that are read for a strip at a time."""


@dataclass(frozen=True)
class Strip:
    """Of each row of `row_bytes` bytes those from start to before stop, row by row: a `Raw`."""

    raw: Raw
    row_bytes: int
    start: int
    stop: int

    def __len__(self) -> int:
        return len(self.raw) // self.row_bytes * (self.stop - self.start)

    def __getitem__(self, run: slice, /) -> NDArray[np.uint8]:
        first, last, _ = run.indices(len(self))
        width = self.stop - self.start
        row, end = first // width, -(-last // width)
        found = np.empty((max(0, end - row), width), np.uint8)
        step = max(1, AT_ONCE // self.row_bytes)
        for at in range(row, end, step):
            to = min(end, at + step)
            whole = self.raw[at * self.row_bytes : to * self.row_bytes]
            rows = np.frombuffer(whole, np.uint8).reshape(-1, self.row_bytes)
            found[at - row : to - row] = rows[:, self.start : self.stop]
        return found.reshape(-1)[first - row * width : last - row * width]


@dataclass(frozen=True)
class Stored:
    """A matrix (rows, columns) whose blocks are stored row by row in `raw`.

    order: (rows) int64, the selected rows in order; None: all rows in the stored order.
    """

    raw: Raw
    shape: tuple[int, int]
    recipe: Recipe | Plain
    translate: Callable[[Raw, int, int], Layout]
    """(blocks, rows, columns) -> the layout. Raises CheckpointError for invalid values."""
    file: tuple[int, int] | None = None
    """A file descriptor and an offset from which a backend can read the same bytes itself, while
    the checkpoint is open."""
    order: Tensor | None = None

    @property
    def row_bytes(self) -> int:
        return self.shape[1] // self.recipe.count * self.recipe.size

    def rows(self, index: Tensor | slice) -> Stored:
        """A selection of the rows, as `Layout.rows`; nothing is read."""
        order = torch.arange(self.shape[0]) if self.order is None else self.order
        order = order[index]
        return replace(self, order=order, shape=(len(order), self.shape[1]))

    def columns(self, start: int, stop: int) -> Stored:
        """The columns from start to before stop, which are whole blocks; nothing is read.

        Raises ValueError where they are not."""
        count = self.recipe.count
        if start % count or stop % count:
            raise ValueError(f"columns {start} to {stop} are no whole blocks of {count}")
        size = self.recipe.size
        raw = Strip(self.raw, self.row_bytes, start // count * size, stop // count * size)
        rows = len(self.raw) // self.row_bytes
        whole = replace(self, raw=raw, shape=(rows, stop - start), file=None, order=None)
        return whole if self.order is None else whole.rows(self.order)

    def translated(self) -> Layout:
        """Convert to the layout. Reads the file from the first selected row to the last."""
        if self.order is None:
            return self.translate(self.raw, *self.shape)
        first, last = int(self.order.min()), int(self.order.max()) + 1
        size = self.row_bytes
        part = self.raw[first * size : last * size]
        return self.translate(part, last - first, self.shape[1]).rows(self.order - first)

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), as `Layout.decode`."""
        return self.translated().decode(dtype)
