"""Layers of optimum-quanto.

8 bits: weight = scale * number. weight._data int8 or float8 (rows, columns), weight._scale
    (rows, 1).
4 and 2 bits: weight = scale * code - shift, or scale * (code - shift) for a shift of integers.
    A matrix is taken as (groups, group): as many rows as there are groups in all, of 128, 96, 64 or
    32 columns each, or of a whole row. weight._scale, weight._shift (groups, 1). weight._data._data
    uint8 (groups * bits / 8, group), rounded up: part i of a byte, the lowest first, is of the
    groups' i-th quarter or half, not of the next column.

Each result is rounded to the scales' type. A row of zeros has a scale of 0; quanto divides by it,
and stores for float8 what is not a number: such rows are read as the zeros that they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import PLANES, Affine, Codebook, Layout, float_table, pack

from .settings import PACKED, WHOLE, weights_of

DATA, INNER, SCALE, SHIFT = "weight._data", "weight._data._data", "weight._scale", "weight._shift"


def translate(
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
) -> Layout | None:
    """A matrix (rows, columns); None for a plain one. shape: what it must have, which the packed
    tensors do not tell; None: that its groups are rows. Raises CheckpointError."""
    if set(tensors) <= {"weight"}:
        return None
    said = weights_of(config, path)
    packed = INNER in tensors
    for part in (INNER, SCALE, SHIFT) if packed else (DATA, SCALE):
        if part not in tensors:
            there = ", ".join(sorted(tensors))
            raise CheckpointError(f"{path}: {part} is missing; it has {there}")
    scale = tensors[SCALE]
    if not scale.is_floating_point() or scale.dtype.itemsize == 1:
        raise CheckpointError(f"{path}: its scales are {name_of(scale)}, not floats")
    if packed:
        return _packed(tensors[INNER], scale, tensors[SHIFT], said, shape, path)
    return _whole(tensors[DATA], scale, said, path)


def _whole(data: Tensor, scale: Tensor, said: str | None, path: str) -> Layout:
    """One number in each byte."""
    names = {dtype: name for name, dtype in WHOLE.items()}
    if data.ndim != 2 or data.dtype not in names or said not in (None, names[data.dtype]):
        wanted = said or "a matrix of int8 or float8"
        raise CheckpointError(f"{path}: its data is {name_of(data)}, its weights are {wanted}")
    rows, columns = data.shape
    if scale.numel() not in (1, rows) or scale.numel() != scale.shape[:1].numel():
        raise CheckpointError(
            f"{path}: scales of {tuple(scale.shape)} do not belong to weights of {(rows, columns)}"
        )
    scale = scale.reshape(-1, 1).expand(rows, 1)
    codes, rounded = data.contiguous().view(torch.uint8), _rounded(scale)
    if data.dtype == torch.int8:
        return Affine(8, columns, (codes ^ 128,), scale, 128, rounded=rounded)
    codes = codes.masked_fill(scale == 0, 0)
    return Codebook(8, columns, (codes,), _table(data.dtype), scale, rounded=rounded)


def _packed(
    data: Tensor, scale: Tensor, shift: Tensor, said: str | None,
    shape: tuple[int, ...] | None, path: str,
) -> Layout:  # fmt: skip
    """Codes of 4 or 2 bits."""
    groups = scale.numel()
    if data.dtype != torch.uint8 or data.ndim != 2 or not data.numel() or not groups:
        raise CheckpointError(f"{path}: its data is {name_of(data)}, not rows of packed codes")
    bits, group = _bits(len(data), groups, said, path), data.shape[1]
    rows, columns = shape if shape is not None and len(shape) == 2 else (groups, group)
    if groups * group != rows * columns or columns % group:
        raise CheckpointError(
            f"{path}: {groups} groups of {group} do not make weights of {(rows, columns)}"
        )
    if shift.numel() != groups:
        raise CheckpointError(f"{path}: {shift.numel()} shifts do not belong to {groups} scales")
    if shift.dtype not in (torch.uint8, torch.int8, scale.dtype):
        raise CheckpointError(
            f"{path}: its shifts are {name_of(shift)}, neither bytes nor as its scales"
        )
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8)[:, None, None]
    codes = (data >> shifts & (1 << bits) - 1).flatten(0, 1)[:groups].reshape(rows, columns)
    held = bits if all(columns * width % 8 == 0 for width in PLANES[bits]) else 8
    planes = pack(codes, bits) if held == bits else (codes,)
    scale, shift, rounded = scale.reshape(rows, -1), shift.reshape(rows, -1), _rounded(scale)
    if shift.is_floating_point():
        return Affine(held, group, planes, scale, 0, minimum=-shift, rounded=rounded)
    return Affine(held, group, planes, scale, shift, rounded=rounded)


def _bits(stored: int, groups: int, said: str | None, path: str) -> int:
    """How many bits codes have: as is said, or as the rows that are stored tell."""
    fits = [bits for bits in PACKED.values() if stored == -(-groups * bits // 8)]
    if said is not None:
        fits = [bits for bits in fits if PACKED.get(said) == bits]
    if len(fits) == 1:
        return fits[0]
    if said is None and fits:
        raise CheckpointError(
            f"{path}: nothing tells whether its codes have 4 or 2 bits: copy quanto_qmap.json or "
            "quantization_map.json from where the weights are from"
        )
    raise CheckpointError(
        f"{path}: {stored} rows of packed codes do not hold {groups} groups of "
        f"{said or 'qint4 or qint2'}"
    )


def _table(dtype: torch.dtype) -> Tensor:
    """All numbers of an 8-bit float by their codes."""
    if dtype == torch.float8_e4m3fnuz:
        return torch.arange(256, dtype=torch.uint8).view(dtype).float()
    return float_table("e4m3" if dtype == torch.float8_e4m3fn else "e5m2")


def _rounded(scale: Tensor) -> torch.dtype | None:
    return None if scale.dtype == torch.float32 else scale.dtype


def name_of(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
