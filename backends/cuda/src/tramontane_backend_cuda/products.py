"""The kernels of `Linear`, `StackedLinear` and `Embedding`, as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import Dense, Layout
from tramontane.layouts.low_rank import LowRank

from .card import Card
from .kernels.product import add_splits, product, table_rows
from .launch import launch
from .operand import Operand, has_kernel, operand_of

ADDED = 1024
"""Results that a program of `add_splits` adds."""


def dot_type(dtype: torch.dtype, card: Card) -> Any:
    """In what type factors are multiplied; sums are float32 in any case."""
    import triton.language as tl

    if dtype == torch.float16:
        return tl.float16
    # the interpreter takes the bits of bfloat16 numbers for integers
    return tl.bfloat16 if dtype == torch.bfloat16 and not card.interpreted else tl.float32


def multiply_operand(
    x: Tensor, matrix: Operand, card: Card, counts: Tensor | None = None
) -> Tensor:
    """x Wᵀ, (rows, n_out). counts: rows for each of several matrices below each other; None: there
    is one."""
    x = x.contiguous()
    count, matrices = len(x), 1 if counts is None else len(counts)
    n = matrix.rows // matrices
    height = card.few if count <= card.few * matrices else card.many
    tiles = None if counts is None else tiles_of(counts, count, height)
    wide = 16
    while wide < card.wide and wide < n:
        wide *= 2
    tall = -(-count // height) if tiles is None else len(tiles)
    apart = height == card.few and matrix.splits > 1
    out = x.new_empty(count, n)
    to = x.new_empty(matrix.splits, count, n, dtype=torch.float32) if apart else out
    each = 1 if apart else matrix.splits
    order = matrix.tensors[0] if matrix.order is None else matrix.order
    launch(
        product, (-(-n // wide), tall, matrix.splits if apart else 1),
        x, to, order, order if tiles is None else tiles, *matrix.tensors,
        count, n, matrix.columns, each, matrix.part_rows, matrix.factor,
        **matrix.constants, STACKED=tiles is not None, SPLIT=matrix.split,
        DOT=dot_type(x.dtype, card), M=height, N=wide, K=card.deep,
    )  # fmt: skip
    if apart:
        grid = (-(-out.numel() // ADDED),)
        launch(add_splits, grid, to, out, out.numel(), SPLITS=matrix.splits, SIZE=ADDED)
    return out


def tiles_of(counts: Tensor, rows: int, height: int) -> Tensor:
    """Tiles of `height` rows at most, none with rows of two matrices: int32 (tiles, 3) of matrix,
    first row, end. counts: (matrices) rows of each, which are `rows` together; nothing is read back
    from the card, so there are as many tiles as there could be, the last ones without rows."""
    matrices = len(counts)
    most = min(rows, matrices) + rows // height
    ends = counts.cumsum(0)
    tall = (counts + height - 1) // height
    tile_ends = tall.cumsum(0)
    tile = torch.arange(most, device=counts.device)
    matrix = torch.searchsorted(tile_ends, tile, right=True).clamp(max=matrices - 1)
    first = ends[matrix] - counts[matrix]
    first = first + (tile - tile_ends[matrix] + tall[matrix]) * height
    return torch.stack((matrix, first, ends[matrix]), 1).to(torch.int32)


@dataclass
class Multiply:
    """A drop-in for `reference.linear`, and, called with counts, for `reference.grouped_linear`.
    matrices: how many lie below each other in a weight."""

    card: Card
    matrices: int = 1
    _known: tuple[Layout, Operand] | None = None

    def operand(self, weight: Layout) -> Operand:
        """The weight as kernels take it; made once for the one that a block has."""
        if self._known is None or self._known[0] is not weight:
            self._known = weight, operand_of(weight, self.matrices)
        return self._known[1]

    def __call__(self, x: Tensor, weight: Layout) -> Tensor:
        return multiply_operand(x, self.operand(weight), self.card)

    def grouped(self, x: Tensor, counts: Tensor, weight: Layout) -> Tensor:
        return multiply_operand(x, self.operand(weight), self.card, counts)

    def embed(self, tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
        """A drop-in for `reference.embedding`."""
        matrix, count = self.operand(weight), len(tokens)
        out = torch.empty(count, matrix.columns, dtype=dtype, device=tokens.device)
        order = matrix.tensors[0] if matrix.order is None else matrix.order
        launch(
            table_rows, (-(-count // 16), -(-matrix.columns // 128)),
            tokens.contiguous(), out, order, *matrix.tensors,
            count, matrix.columns, matrix.part_rows, matrix.factor, **matrix.constants,
            M=16, K=128,
        )  # fmt: skip
        return out


def multiply_any(card: Card) -> Callable[[Tensor, Layout | LowRank], Tensor]:
    """Products with dense matrices and with pairs of narrow ones, for adapters: a row's bits do not
    depend on others."""

    def dense(x: Tensor, data: Tensor) -> Tensor:
        weight = Dense(data.to(x.device).contiguous())
        if not has_kernel(weight):
            return reference.linear(x, weight)
        return multiply_operand(x, operand_of(weight), card)

    def multiply(x: Tensor, weight: Layout | LowRank) -> Tensor:
        if isinstance(weight, LowRank):
            if weight.group is not None:
                return dense(x, weight.decode(x.dtype))
            return dense(dense(x, weight.right), weight.left)
        if isinstance(weight, Dense):
            return dense(x, weight.data)
        return reference.linear(x, weight)

    return multiply
