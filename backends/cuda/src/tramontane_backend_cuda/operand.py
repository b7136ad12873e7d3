"""A layout's tensors and constants as the kernels of `weights.py` are given them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tramontane.layouts import PLANES, Affine, Codebook, Dense, Layout, Permuted, RowGroups

DENSE, AFFINE, CODEBOOK, ROW_GROUPS = range(4)
PLAIN = (torch.float32, torch.float16, torch.bfloat16)
LEAST_SPLIT, MOST_SPLITS, PROGRAMS, LINES = 512, 8, 256, 32
"""Columns of a split, at least; splits, at most; programs that keep a card busy, and the rows of W
of each, when x has few rows."""
UNIT = 256
"""A split's columns are a multiple of it."""


@dataclass(frozen=True)
class Operand:
    """A matrix (rows, columns). tensors: the eight of `weights.weights`. order: (parts, columns)
    int32, or None. part_rows: rows of each part. split: see `split_of`."""

    rows: int
    columns: int
    tensors: tuple[Tensor, ...]
    factor: float
    constants: dict[str, Any] = field(hash=False)
    order: Tensor | None
    part_rows: int
    split: int

    @property
    def splits(self) -> int:
        return -(-self.columns // self.split)


def split_of(rows: int, columns: int) -> int:
    """How many columns are added by themselves: fewer than all where a matrix has so few rows that
    programs for them alone would not keep a card busy."""
    wanted = min(MOST_SPLITS, max(1, PROGRAMS // max(1, -(-rows // LINES))))
    each = max(LEAST_SPLIT, -(-columns // wanted))
    return -(-each // UNIT) * UNIT


def has_kernel(weight: Layout, matrices: int = 1) -> bool:
    """Whether the kernels read this layout. matrices: how many lie below each other in it."""
    if isinstance(weight, Dense):
        return weight.data.dtype in PLAIN and weight.data.dim() == 2
    if isinstance(weight, Permuted):
        parts = len(weight.order)
        return parts in (1, matrices) or weight.shape[0] // parts % 512 == 0
    return isinstance(weight, Affine | Codebook | RowGroups)


def operand_of(weight: Layout, matrices: int = 1) -> Operand:
    """Of a layout that has a kernel, and whose tensors are contiguous."""
    rows, columns = weight.shape
    order, part_rows = None, rows
    if isinstance(weight, Permuted):
        order, part_rows = weight.order, rows // len(weight.order)
        weight = weight.layout
    split = split_of(rows, columns) if matrices == 1 else -(-columns // UNIT) * UNIT
    tensors, constants, factor = _parts(weight)
    constants["ORDER"] = order is not None
    return Operand(rows, columns, tensors, factor, constants, order, part_rows, split)


def _parts(weight: Layout) -> tuple[tuple[Tensor, ...], dict[str, Any], float]:
    constants: dict[str, Any] = dict(
        KIND=DENSE, WIDTH0=8, WIDTH1=0, GROUP=1, ABOVE=0, ABOVE_MINIMUM=0, DIVIDES=False, ZERO=0,
        ZEROS=False, MINIMUM=False, FACTOR=False,
    )  # fmt: skip
    if isinstance(weight, Dense):
        return (weight.data,) * 8, constants, 1.0
    assert not isinstance(weight, Permuted)
    constants["WIDTH0"], constants["WIDTH1"] = (*PLANES[weight.bits], 0)[:2]
    given: dict[str, Tensor] = {name: _readable(t) for name, t in weight.tensors().items()}
    columns, factor = weight.shape[1], 1.0

    def above(name: str) -> int:
        return columns // given[name].shape[1] if name in given else 0

    if isinstance(weight, RowGroups):
        constants["KIND"] = ROW_GROUPS
        given["table"] = given["group_of"]
    else:
        constants |= {"GROUP": weight.group, "ABOVE": above("super_scale")}
        if isinstance(weight, Codebook):
            constants |= {"KIND": CODEBOOK, "DIVIDES": weight.super_divides}
        else:
            factor, zeros = weight.factor, isinstance(weight.zero, Tensor)
            constants |= {
                "KIND": AFFINE, "ZERO": 0 if zeros else weight.zero, "ZEROS": zeros,
                "MINIMUM": weight.minimum is not None, "FACTOR": factor != 1.0,
                "ABOVE_MINIMUM": above("super_minimum"),
            }  # fmt: skip
    names = (
        "codes0", "codes1", "scale", "zero", "minimum", "super_scale", "super_minimum", "table",
    )  # fmt: skip
    return tuple(given.get(name, given["codes0"]) for name in names), constants, factor


def _readable(tensor: Tensor) -> Tensor:
    """The same numbers in a type that every card reads: of 8-bit floats only newer ones do."""
    if tensor.dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        return tensor.to(torch.float16)
    if tensor.is_floating_point() and tensor.dtype not in PLAIN:
        return tensor.to(torch.float32)
    return tensor
