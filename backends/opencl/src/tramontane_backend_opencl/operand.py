"""A layout's tensors and constants as the kernels of `weights.inc` are given them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tramontane.layouts import PLANES, Affine, Codebook, Dense, Layout, Permuted, RowGroups

from .kernel_call import KINDS

DENSE, AFFINE, CODEBOOK, ROW_GROUPS = range(4)
PLAIN = (torch.float32, torch.float16, torch.bfloat16)
UNIT = 16
"""Columns that kernels decode at once."""
NAMES = ("codes0", "codes1", "scale", "zero", "minimum", "super_scale", "super_minimum", "table")
LETTERS = ("P", None, "S", "Z", "B", "A", "N", "L")
"""The macros that say how each of NAMES is stored; codes1 is bytes."""
INT32 = 5


@dataclass(frozen=True)
class Operand:
    """A matrix (rows, columns). tensors: the eight of NAMES. order: (parts, columns) int32, or
    None. part_rows: rows of each part. whole: columns that are decoded UNIT at a time."""

    rows: int
    columns: int
    tensors: tuple[Tensor, ...]
    factor: float
    constants: dict[str, Any] = field(hash=False)
    order: Tensor | None
    part_rows: int
    whole: int


def has_kernel(weight: Layout) -> bool:
    """Whether the kernels read this layout."""
    if isinstance(weight, Dense):
        return weight.data.dtype in PLAIN and weight.data.dim() == 2
    return isinstance(weight, Affine | Codebook | RowGroups | Permuted)


def operand_of(weight: Layout) -> Operand:
    """Of a layout that has a kernel, and whose tensors are contiguous."""
    rows, columns = weight.shape
    order, part_rows = None, rows
    if isinstance(weight, Permuted):
        order, part_rows = weight.order, rows // len(weight.order)
        weight = weight.layout
    given, constants, factor = _parts(weight)
    constants["ORDER"] = order is not None
    for name, letter in zip(NAMES, LETTERS, strict=True):
        if letter is not None:
            constants[letter] = _kind(given[name]) if name in given else 3
    first = given["codes0"]
    in_units = constants["GROUP"] % UNIT == 0 or constants["KIND"] in (DENSE, ROW_GROUPS)
    return Operand(
        rows, columns, tuple(given.get(name, first) for name in NAMES), factor, constants, order,
        part_rows, columns // UNIT * UNIT if in_units else 0,
    )  # fmt: skip


def _kind(tensor: Tensor) -> int:
    return INT32 if tensor.dtype == torch.int32 else KINDS[tensor.dtype]


def _parts(weight: Layout) -> tuple[dict[str, Tensor], dict[str, Any], float]:
    constants: dict[str, Any] = dict(
        KIND=DENSE, WIDTH0=8, WIDTH1=0, GROUP=1, ABOVE=0, ABOVE_MINIMUM=0, DIVIDES=False, ZERO=0,
        ZEROS=False, MINIMUM=False, FACTOR=False,
    )  # fmt: skip
    if isinstance(weight, Dense):
        return {"codes0": weight.data}, constants, 1.0
    assert not isinstance(weight, Permuted)
    constants["WIDTH0"], constants["WIDTH1"] = (*PLANES[weight.bits], 0)[:2]
    given = {name: _readable(tensor) for name, tensor in weight.tensors().items()}
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
    return given, constants, factor


def _readable(tensor: Tensor) -> Tensor:
    """The same numbers in a type that kernels read."""
    if tensor.dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        return tensor.to(torch.float16)
    if tensor.is_floating_point() and tensor.dtype not in PLAIN:
        return tensor.to(torch.float32)
    return tensor
