"""Whether a layout that a plugin made can be a matrix of the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tramontane.layouts import (
    LAYOUTS,
    PLANES,
    Codebook,
    Dense,
    Layout,
    Permuted,
    RowGroups,
    unpack,
)


def check_layout(layout: Any, shape: tuple[int, ...]) -> str:
    """What is wrong with a layout, or nothing: its type, shape, parts, and numbers."""
    if not isinstance(layout, LAYOUTS):
        return f"it was read as {type(layout).__name__}, which is not a layout"
    try:
        if tuple(layout.shape) != tuple(shape):
            return f"it is {tuple(layout.shape)}, the model wants {tuple(shape)}"
        return _parts(layout) or _numbers(layout)
    except (TypeError, AttributeError, IndexError, KeyError, ZeroDivisionError) as error:
        return f"its layout is broken: {error!r}"


def _parts(layout: Layout) -> str:
    """Whether codes and scales belong together."""
    if isinstance(layout, Dense):
        return "" if layout.data.is_floating_point() else f"its weights are {layout.kind}"
    if isinstance(layout, Permuted):
        return _parts(layout.layout) or _order(layout)
    rows, columns = layout.shape
    widths = PLANES[layout.bits]
    if len(layout.codes) != len(widths):
        return f"{layout.bits} bits have {len(widths)} planes of codes, not {len(layout.codes)}"
    for plane, width in zip(layout.codes, widths, strict=True):
        size = (rows, columns * width // 8)
        if plane.dtype != torch.uint8 or tuple(plane.shape) != size or columns * width % 8:
            held = f"{str(plane.dtype).removeprefix('torch.')} {tuple(plane.shape)}"
            return f"its codes are {held}; {layout.bits} bits need uint8 {size}"
    groups = tuple(layout.scale.shape)
    named = layout.tensors()
    for name in ("minimum", "zero"):
        if name in named and tuple(named[name].shape) != groups:
            return f"its {name}s are {tuple(named[name].shape)}, its scales {groups}"
    if isinstance(layout, RowGroups):
        group = layout.group_of
        if group.dtype != torch.int32 or not 0 <= int(group.min()) <= int(group.max()) < groups[0]:
            return f"its rows' groups must be int32 from 0 to {groups[0] - 1}"
        return ""
    if layout.super_scale is not None:
        above = tuple(layout.super_scale.shape)
        if len(above) != 2 or above[0] != groups[0] or not above[1] or groups[1] % above[1]:
            return f"its super scales are {above}, its scales {groups}"
    if isinstance(layout, Codebook) and tuple(layout.table.shape) != (1 << layout.bits,):
        return (
            f"its table has {tuple(layout.table.shape)}, {layout.bits} bits need {1 << layout.bits}"
        )
    return ""


def _order(layout: Permuted) -> str:
    """Whether every column of the matrix is stored once."""
    rows, columns = layout.shape
    order = layout.order
    if order.dtype != torch.int32 or order.ndim != 2 or order.shape[1] != columns:
        return (
            f"its order of columns is {order.dtype} {tuple(order.shape)}, not int32 (1, {columns})"
        )
    if not len(order) or rows % len(order):
        return f"{rows} rows do not make {len(order)} parts with orders of their own"
    if not torch.equal(order.sort(1).values, torch.arange(columns).int().expand_as(order)):
        return f"its order of columns does not name each of {columns} columns once"
    return ""


def _numbers(layout: Layout) -> str:
    """Whether every weight is a number."""
    for name, tensor in layout.tensors().items():
        if name == "table" or not tensor.is_floating_point():
            continue
        if bad := _not_finite(tensor):
            what = "weights" if name == "data" else f"{name.replace('_', ' ')}s"
            return f"{bad} of its {tensor.numel()} {what} are infinite or not numbers"
    if isinstance(layout, Permuted):
        layout = layout.layout
    if isinstance(layout, Codebook):
        codes = unpack(layout.codes, PLANES[layout.bits]) if layout.bits < 8 else layout.codes[0]
        for code in (~layout.table.isfinite()).nonzero().flatten().tolist():
            if bad := int((codes == code).sum()):
                return f"{bad} of its weights are infinite or not numbers (code {code})"
    return ""


def _not_finite(tensor: Tensor) -> int:
    if tensor.dtype.itemsize == 1:  # torch has no isfinite for floats of 8 bits
        tensor = tensor.float()
    return int((~tensor.isfinite()).sum())
