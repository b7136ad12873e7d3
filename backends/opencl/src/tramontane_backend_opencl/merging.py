"""Matrices that read the same vectors as one matrix, each a view of it: one kernel for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tramontane.blocks import Linear
from tramontane.layouts import Affine, Codebook, Dense, Layout
from tramontane.layouts.select import joined

from .operand import Operand, has_kernel, operand_of


@dataclass(frozen=True)
class Together:
    """linears: whose rows are below each other in `operand`. weights, kernels: theirs when this was
    made; where they have others now, an adapter's, they are called one by one."""

    linears: tuple[Linear, ...]
    operand: Operand
    weights: tuple[Layout, ...]
    kernels: tuple[Any, ...]
    bias: torch.Tensor | None

    @property
    def holds(self) -> bool:
        """Whether the linear layers are as they were."""
        for linear, weight, kernel in zip(self.linears, self.weights, self.kernels, strict=True):
            changed = linear.weight is not weight or linear.kernel is not kernel
            if changed or linear._forward_hooks or linear._forward_pre_hooks:
                return False
        return True


def together(linears: Sequence[Linear]) -> Together | None:
    """Put the weights of linear layers below each other; None: they are not stored alike."""
    weights = [linear.weight for linear in linears]
    if any(type(each) is not Linear or "forward" in vars(each) for each in linears):
        return None
    if not alike(weights) or len({linear.bias is None for linear in linears}) > 1:
        return None
    parts = iter(
        first if name == "table" else joined([each.tensors()[name] for each in weights])
        for name, first in weights[0].tensors().items()
    )
    whole = weights[0].map(lambda _: next(parts))  # which visits them in the order of `tensors`
    start = 0
    for linear, weight in zip(linears, weights, strict=True):
        linear.weight = whole.rows(slice(start, start + weight.shape[0]))
        start += weight.shape[0]
    bias = None
    if linears[0].bias is not None:
        bias = torch.cat([linear.bias for linear in linears if linear.bias is not None])
    return Together(
        tuple(linears), operand_of(whole), tuple(linear.weight for linear in linears),
        tuple(linear.kernel for linear in linears), bias,
    )  # fmt: skip


def alike(weights: Sequence[Layout]) -> bool:
    """Whether matrices can lie below each other and be read as one."""
    first = weights[0]
    if not isinstance(first, Affine | Codebook | Dense) or not has_kernel(first):
        return False
    if len({(type(each), each.kind, each.shape[1]) for each in weights}) > 1:
        return False
    types = {tuple((n, t.dtype) for n, t in each.tensors().items()) for each in weights}
    if len(types) > 1:
        return False
    if isinstance(first, Affine):
        fixed = {(each.factor, each.zero if isinstance(each.zero, int) else "zeros")
                 for each in weights if isinstance(each, Affine)}  # fmt: skip
        above = {len(each.tensors()) for each in weights}
        return len(fixed) == 1 and len(above) == 1 and _super_alike(weights)
    if isinstance(first, Codebook):
        books = [each for each in weights if isinstance(each, Codebook)]
        same = all(_equal(each.table, first.table) for each in books)
        return same and len({each.super_divides for each in books}) == 1 and _super_alike(weights)
    return True


def _super_alike(weights: Sequence[Any]) -> bool:
    """Whether larger groups are as wide in all."""
    names = ("super_scale", "super_minimum")
    widths = {
        tuple(None if getattr(w, n, None) is None else getattr(w, n).shape[1] for n in names)
        for w in weights
    }
    return len(widths) == 1


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit by bit: tables of 8-bit floats contain NaN, which is not equal to itself."""
    return one is other or torch.equal(one.cpu().view(torch.int32), other.cpu().view(torch.int32))
