"""Kernels of blocks with what an adapter adds. Products are the backend's own, so that a row's bits
do not depend on others; what is added is computed in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from tramontane import reference
from tramontane.layouts import Dense, Layout
from tramontane.layouts.low_rank import LowRank

from .stored import Delta

Multiply: TypeAlias = Callable[[Tensor, Any], Tensor]
"""The product with a plain matrix or, of a backend's, with a `LowRank`."""
Rows: TypeAlias = tuple[tuple[int, ...], Tensor]
"""Numbers of rows of a table, and (rows, columns) that take their places."""
CHUNK = 256
"""Columns of a matrix that are looked at together, for its rows' norms."""


def added(x: Tensor, matrix: LowRank, factor: float, multiply: Multiply) -> Tensor:
    """factor * x (left right)ᵀ, (tokens, rows) float32."""
    if multiply is not reference.linear:
        return multiply(x.float(), matrix) * factor
    narrow = multiply(x.float(), Dense(matrix.right.contiguous()))
    return multiply(narrow, Dense(matrix.left.contiguous())) * factor


def changed_linear(
    own: Multiply,
    deltas: Sequence[tuple[Delta, float]],
    weight: Tensor | None,
    rows: Rows | None,
    multiply: Multiply,
    bias: Tensor | None = None,
) -> Multiply:
    """The kernel of a linear layer with adapters. weight: (rows, columns) in the place of its own.
    rows: some of its rows, replaced. bias: the layer's, which the kernel adds, and the layer not
    again: before what adapters add, as a recorded step does."""
    whole = None if weight is None else Dense(weight.contiguous())
    some = None if rows is None else (
        torch.tensor(rows[0], device=rows[1].device), Dense(rows[1].contiguous())
    )  # fmt: skip
    factors: list[Tensor | None] = []

    def kernel(x: Tensor, stored: Layout) -> Tensor:
        base = own(x, stored) if whole is None else multiply(x, whole)
        if some is not None:
            base = base.index_copy(-1, some[0], multiply(x, some[1]).to(base.dtype))
        y = base.float() if bias is None else (base + bias).float()
        if not factors:  # in the engine's thread, to which kernels belong
            factors.extend(
                None if delta.magnitude is None
                else delta.magnitude / norms(own, stored, delta.matrix, factor)
                for delta, factor in deltas
            )  # fmt: skip
        for (delta, factor), scale in zip(deltas, factors, strict=True):
            more = added(x, delta.matrix, factor, multiply)
            if delta.bias is not None:
                more = more + delta.bias * factor
            if scale is not None:  # the changed rows have norms of their own
                more = (scale - 1) * base.float() + scale * more
            y = y + more
        return y.to(base.dtype)

    return kernel


def norms(own: Multiply, weight: Layout, matrix: LowRank, factor: float) -> Tensor:
    """The norms of the rows of weight + factor * matrix, (rows), some columns at a time."""
    rows, columns = weight.shape
    at = matrix.left.device
    total = torch.zeros(rows, device=at)
    for start in range(0, columns, CHUNK):
        end = min(start + CHUNK, columns)
        one = torch.zeros(end - start, columns, device=at)
        one[torch.arange(end - start, device=at), torch.arange(start, end, device=at)] = 1
        part = own(one, weight).float().T  # (rows, columns of this chunk)
        more = matrix.left @ matrix.right[:, start:end]
        total += (part + factor * more).square().sum(1)
    return total.sqrt()


def changed_stacked(
    own: Callable[[Tensor, Tensor, Layout], Tensor],
    experts: Mapping[int, Sequence[tuple[LowRank, float]]],
    multiply: Multiply,
) -> Callable[[Tensor, Tensor, Layout], Tensor]:
    """The kernel of experts' matrices with adapters, by the experts' numbers."""

    def kernel(x: Tensor, counts: Tensor, stored: Layout) -> Tensor:
        base = own(x, counts, stored)
        y, start = base.float(), 0
        for expert, count in enumerate(counts.tolist()):
            if not count:
                continue
            for matrix, factor in experts.get(expert, ()):
                y[start : start + count] += added(
                    x[start : start + count], matrix, factor, multiply
                )
            start += count
        return y.to(base.dtype)

    return kernel


def changed_embedding(
    own: Callable[[Tensor, Layout, torch.dtype], Tensor],
    matrices: Sequence[tuple[LowRank, float]],
    weight: Tensor | None,
    rows: Rows | None,
) -> Callable[[Tensor, Layout, torch.dtype], Tensor]:
    """The kernel of an embedding with adapters; arguments as of `changed_linear`."""
    whole: Any = None if weight is None else weight.contiguous()
    places = {} if rows is None else {token: row for row, token in enumerate(rows[0])}

    def kernel(tokens: Tensor, stored: Layout, dtype: torch.dtype) -> Tensor:
        found = own(tokens, stored, dtype) if whole is None else whole[tokens].to(dtype)
        if rows is not None:
            for index, token in enumerate(tokens.tolist()):
                if token in places:
                    found[index] = rows[1][places[token]].to(dtype)
        for matrix, factor in matrices:
            left = matrix.left[tokens]
            # a sum over the rank, row by row: a product's bits would depend on their number
            more = (left[:, :, None] * matrix.right[None]).sum(1) * factor
            found = (found.float() + more).to(dtype)
        return found

    return kernel
