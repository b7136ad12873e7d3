"""Int4TilePackedTo4dTensor: 4-bit codes in the order of the tiles of CUDA's tensor cores.

qdata int32 (rows / 8, columns / 128, 32, 4), the matrix filled up to multiples of 8 rows and 1024
columns. Lane t of a tile has row t / 4, and its word j the columns 32 j + 2 (t % 4) + 8 i + h,
whose codes are the word's i-th half-bytes for h = 0 and its (i + 4)-th for h = 1, i from 0 to 3.
scale_and_zero bfloat16 (columns / group, rows, 2): weight = (code - 8) * scale + zero, each result
rounded to bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Layout, pack

from .described import Described
from .integers import group_of, name_of

NTILE = "int4_tile_packed_ntile"
"""The option that says for which maker's devices tiles are: 8 for CUDA, 16 for ROCm."""


def tiles(tensors: Mapping[str, Tensor], said: Described, config: Mapping[str, Any]) -> Layout:
    """The matrix without what fills it up. Raises CheckpointError."""
    words, both = tensors["qdata"], tensors["scale_and_zero"]
    if 16 in _all(config, NTILE):
        raise CheckpointError(
            f"{said.path}: {NTILE}=16 are tiles for ROCm, whose order is not read; quantize the "
            "model again with another packing format"
        )
    if words.dtype != torch.int32 or words.ndim < 4 or words.shape[-2] != 32:
        raise CheckpointError(f"{said.path}: its qdata is {name_of(words)}, not tiles of 32 lanes")
    codes, group = untiled(words), group_of(said)
    *stack, high, wide = codes.shape
    shape = said.sizes("shape")
    rows, columns = shape[-2:] if len(shape) > 1 else (0, 0)
    if not (list(shape[:-2]) == stack and 0 < rows <= high and 0 < columns <= wide):
        raise said.wrong("shape", f"within its tiles, {[*stack, high, wide]}")
    if wide % group or columns % group or tuple(both.shape) != (*stack, wide // group, high, 2):
        raise CheckpointError(
            f"{said.path}: scales of {tuple(both.shape)} do not belong to tiles of "
            f"{(*stack, high, wide)} in groups of {group}"
        )
    if not both.is_floating_point():
        raise CheckpointError(f"{said.path}: its scales are {name_of(both)}, not floats")
    kept = codes[..., :rows, :columns].flatten(0, -2)
    scale, zero = (
        both[..., : columns // group, :rows, each].transpose(-1, -2).flatten(0, -2)
        for each in (0, 1)
    )
    planes = pack(kept, 4)
    return Affine(4, group, planes, scale, 8, minimum=zero, rounded=torch.bfloat16)


def untiled(words: Tensor) -> Tensor:
    """(..., row tiles, column tiles, 32, words) int32 -> codes (..., rows, columns) uint8."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32).view(2, 4)
    halves = ((words[..., None, None] >> shifts) & 15).to(torch.uint8)
    # (..., row tiles, column tiles, row, t % 4, j, h, i) -> (..., row tiles, row, column tiles, j,
    # i, t % 4, h)
    lanes = halves.unflatten(-4, (8, 4))
    first = lanes.ndim - 7
    order = (first, first + 2, first + 1, first + 4, first + 6, first + 3, first + 5)
    placed: Tensor = lanes.permute(*range(first), *order)
    return placed.flatten(-5, -1).flatten(-3, -2)


def _all(config: Any, name: str) -> list[Any]:
    """Every value of a key in a configuration, however deep."""
    if isinstance(config, Mapping):
        here = [config[name]] if name in config else []
        return here + [found for each in config.values() for found in _all(each, name)]
    return (
        [found for each in config for found in _all(each, name)] if isinstance(config, list) else []
    )
