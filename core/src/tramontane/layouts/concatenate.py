"""Matrices below each other, and what holds for every layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .affine import Affine
from .codebook import Codebook
from .permuted import Permuted
from .row_groups import RowGroups
from .select import joined

if TYPE_CHECKING:
    from .layout import Layout


def below(layouts: Sequence[Layout]) -> Layout:
    """Concatenate matrices (rows_i, columns) of one kind along rows -> (sum of rows_i, columns).
    Raises ValueError."""
    if any(isinstance(layout, Permuted) for layout in layouts):
        layouts = [_in_an_order(layout) for layout in layouts]
    layouts = _zeros_alike(layouts)
    first = layouts[0]
    if len({(layout.kind, layout.shape[1:], _constants(layout)) for layout in layouts}) > 1:
        raise ValueError("its matrices are not stored alike")
    if isinstance(first, Permuted):
        return _permuted([layout for layout in layouts if isinstance(layout, Permuted)])
    named = [layout.tensors() for layout in layouts]
    # compared as bytes: tables of 8-bit floats contain NaN, which is not equal to itself
    if len({each["table"].numpy().tobytes() for each in named if "table" in each}) > 1:
        raise ValueError("its matrices have tables of their own")
    if isinstance(first, RowGroups):
        before = 0
        for each in named:
            each["group_of"] = each["group_of"] + before
            before += len(each["scale"])
    parts = iter(
        [
            tensor if name == "table" else joined([each[name] for each in named])
            for name, tensor in named[0].items()
        ]
    )
    # `map` visits the tensors in the order of `tensors`
    return first.map(lambda _: next(parts))


def _in_an_order(layout: Layout) -> Layout:
    """One whose columns are in their own order, as those with another."""
    if not isinstance(layout, Affine | Codebook):
        return layout
    columns = torch.arange(layout.shape[1], dtype=torch.int32, device=layout.scale.device)
    return Permuted(layout, columns[None])


def _zeros_alike(layouts: Sequence[Layout]) -> Sequence[Layout]:
    """With zeros for each group everywhere, if one matrix has them and another one zero for all."""
    integers = [layout for layout in layouts if isinstance(layout, Affine)]
    kinds = {each.zero.dtype for each in integers if isinstance(each.zero, Tensor)}
    if len(integers) < len(layouts) or len(kinds) != 1:
        return layouts
    dtype = kinds.pop()
    return [
        each
        if isinstance(each.zero, Tensor)
        else replace(each, zero=torch.full_like(each.scale, each.zero, dtype=dtype))
        for each in integers
    ]


def _constants(layout: Layout) -> tuple[Any, ...]:
    """What a layout says of the whole matrix, without its tensors."""
    inner = layout.layout if isinstance(layout, Permuted) else layout
    found = (getattr(inner, field.name) for field in fields(inner))
    return tuple(value for value in found if isinstance(value, int | float | torch.dtype))


def _permuted(layouts: Sequence[Permuted]) -> Permuted:
    """The same; matrices with different orders must be equally large."""
    orders = joined([layout.order for layout in layouts])
    if all(torch.equal(order, orders[0]) for order in orders):
        orders = orders[:1]
    elif len({layout.shape[0] // len(layout.order) for layout in layouts}) > 1:
        raise ValueError("its matrices have columns in different orders and are not equally large")
    whole: Any = below([layout.layout for layout in layouts])
    return Permuted(whole, orders)


def contiguous(layout: Layout) -> Layout:
    """The same matrix (rows, columns), its tensors contiguous; only those with other strides are
    copied."""
    return layout.map(Tensor.contiguous)


def nbytes(layout: Layout) -> int:
    """The size in memory in bytes of a layout, (rows, columns) or any other shape."""
    return sum(tensor.numel() * tensor.element_size() for tensor in layout.tensors().values())
