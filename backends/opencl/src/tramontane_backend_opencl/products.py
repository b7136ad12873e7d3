"""The kernels of `Linear`, `StackedLinear` and `Embedding`, as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import Dense, Layout
from tramontane.layouts.low_rank import LowRank

from .kernel_call import KINDS, Kernels
from .operand import Operand, has_kernel, operand_of

INDEX = 3
"""Numbers of a tile: matrix, first row, end."""


def multiply_operand(
    x: Tensor, matrix: Operand, kernels: Kernels, counts: Sequence[int] | None = None
) -> Tensor:
    """x Wᵀ, (rows, n_out). counts: rows for each of several matrices below each other; None: there
    is one."""
    x = x.contiguous()
    count = len(x)
    n = matrix.rows if counts is None else matrix.rows // len(counts)
    out = x.new_empty(count, n)
    if count == 0:
        return out
    most = count if counts is None else max(counts)
    height = next(rows for rows in (1, 2, kernels.sizes.rows) if rows >= min(most, 4))
    filler = matrix.tensors[0]
    tiles, tall = filler, -(-count // height)
    if counts is not None:
        told = tiles_of(counts, height)
        tall, tiles = len(told), torch.from_numpy(told).to(x.device)
    each = kernels.sizes.each
    kernels.run(
        "product", (-(-n // each), tall),
        (x, out, filler if matrix.order is None else matrix.order, tiles, *matrix.tensors,
         count, n, matrix.columns, matrix.part_rows, float(matrix.factor), matrix.whole),
        **matrix.constants, X=KINDS[x.dtype], STACKED=counts is not None, EACH=each, ROWS=height,
    )  # fmt: skip
    return out


def tiles_of(counts: Sequence[int], height: int) -> np.ndarray:
    """Tiles of `height` rows at most, none with rows of two matrices: int32 (tiles, 3) of matrix,
    first row, end of the matrix's rows."""
    found, start = [], 0
    for matrix, count in enumerate(counts):
        end = start + count
        found += [(matrix, first, end) for first in range(start, end, height)]
        start = end
    return np.array(found, np.int32).reshape(-1, INDEX)


@dataclass
class Multiply:
    """A drop-in for `reference.linear`, and, called with counts, for `reference.grouped_linear`."""

    kernels: Kernels
    _known: tuple[Layout, Operand] | None = None

    def operand(self, weight: Layout) -> Operand:
        """The weight as kernels take it; made once for the one that a block has."""
        if self._known is None or self._known[0] is not weight:
            self._known = weight, operand_of(weight)
        return self._known[1]

    def __call__(self, x: Tensor, weight: Layout) -> Tensor:
        return multiply_operand(x, self.operand(weight), self.kernels)

    def grouped(self, x: Tensor, counts: Tensor | Sequence[int], weight: Layout) -> Tensor:
        told = counts.tolist() if isinstance(counts, Tensor) else counts
        return multiply_operand(x, self.operand(weight), self.kernels, told)

    def embed(self, tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
        """A drop-in for `reference.embedding`."""
        matrix = self.operand(weight)
        out = torch.empty(len(tokens), matrix.columns, dtype=dtype, device=tokens.device)
        filler = matrix.tensors[0]
        self.kernels.run(
            "table_rows", (len(tokens),),
            (tokens.contiguous(), out, filler if matrix.order is None else matrix.order,
             *matrix.tensors, matrix.columns, matrix.part_rows, float(matrix.factor)),
            **matrix.constants, X=KINDS[dtype],
        )  # fmt: skip
        return out


def multiply_any(kernels: Kernels) -> Callable[[Tensor, Layout | LowRank], Tensor]:
    """Products with dense matrices and with pairs of narrow ones, for adapters: a row's bits do not
    depend on others."""

    def dense(x: Tensor, data: Tensor) -> Tensor:
        weight = Dense(data.to(x.device).contiguous())
        if not has_kernel(weight):
            return reference.linear(x, weight)
        return multiply_operand(x, operand_of(weight), kernels)

    def multiply(x: Tensor, weight: Layout | LowRank) -> Tensor:
        if isinstance(weight, LowRank):
            if weight.group is not None:
                return dense(x, weight.decode(x.dtype))
            return dense(dense(x, weight.right), weight.left)
        if isinstance(weight, Dense):
            return dense(x, weight.data)
        return reference.linear(x, weight)

    return multiply
