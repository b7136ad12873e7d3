"""One layer's tensors, decoded.

    trellis  int16 (columns / 16, rows / 16, 16 * bits)      see `trellis.py`
    suh      (columns) float16      svh  (rows) float16      or su, sv: their signs, 16 to an int16
    mcg, mul1                       a multiplier, if the codebook is not "3inst"

    weight transposed = diag(suh) H tiles H diag(svh),  H the Hadamard matrix of 128 over sqrt(128),
                                                        on every 128 rows and columns

Hadamard matrices cannot stay packed, so the matrix is decoded to the type of `suh`: float16 in
files, 16 bits for each weight whatever the file has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense

from .trellis import MULTIPLIERS, TILE, decoded

BLOCK = 128
BITS = range(1, 9)
ACROSS = 4 * BLOCK
"""Columns that are decoded at once, which bounds the temporary memory."""


def translate(
    tensors: dict[str, Tensor],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
) -> Dense | None:
    """The weights of a layer, or None for one that is dense. Raises CheckpointError."""
    if "trellis" not in tensors and "weight" in tensors:
        return None
    if "trellis" not in tensors:
        raise CheckpointError(f"{path}: trellis missing")
    trellis = tensors["trellis"]
    if trellis.dtype != torch.int16 or trellis.ndim != 3 or not trellis.numel():
        held = f"{str(trellis.dtype).removeprefix('torch.')} {tuple(trellis.shape)}"
        raise CheckpointError(f"{path}: trellis must be int16 (tiles, tiles, words), not {held}")
    down, across, words = trellis.shape
    columns, rows = down * TILE, across * TILE
    if words % TILE or words // TILE not in BITS:
        raise CheckpointError(f"{path}: tiles of {words} words are not 1 to 8 bits, 16 words each")
    if columns % BLOCK or rows % BLOCK:
        raise CheckpointError(f"{path}: ({rows}, {columns}) is no multiple of {BLOCK} both ways")
    if shape is not None and (rows, columns) != tuple(shape):
        raise CheckpointError(f"{path}: it is ({rows}, {columns}), the model wants {tuple(shape)}")
    left, right = _scales(tensors, "su", columns, path), _scales(tensors, "sv", rows, path)
    _check_parts(tensors, config, path)
    codebook = _codebook(tensors, path)
    made = torch.empty((rows, columns), dtype=left.dtype)
    for start in range(0, rows, ACROSS):
        part = slice(start, min(start + ACROSS, rows))
        tiles = decoded(trellis[:, part.start // TILE : part.stop // TILE], codebook)
        made[part] = _turned(tiles, left.float(), right[part].float()).T
    return Dense(made)


def _turned(tiles: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """(columns, rows), both multiples of 128."""
    columns, rows = tiles.shape
    turned = (hadamard() @ tiles.view(-1, BLOCK, rows)).view(columns, rows) * left[:, None]
    return (turned.view(columns, -1, BLOCK) @ hadamard()).view(columns, rows) * right


@cache
def hadamard() -> Tensor:
    """(128, 128) float32, orthogonal."""
    matrix = torch.ones(1, 1)
    while len(matrix) < BLOCK:
        top, bottom = torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)
        matrix = torch.cat((top, bottom))
    return matrix * (1.0 / math.sqrt(BLOCK))


def _scales(tensors: dict[str, Tensor], name: str, count: int, path: str) -> Tensor:
    """suh or svh, or the signs su or sv as numbers. Raises CheckpointError."""
    if (scales := tensors.get(f"{name}h")) is not None:
        if not scales.is_floating_point() or tuple(scales.shape) != (count,):
            held = f"{str(scales.dtype).removeprefix('torch.')} {tuple(scales.shape)}"
            raise CheckpointError(f"{path}: {name}h must be floats ({count},), not {held}")
        return scales
    if (signs := tensors.get(name)) is None:
        raise CheckpointError(f"{path}: {name}h missing")
    if signs.dtype != torch.int16 or signs.numel() * 16 != count:
        held = f"{str(signs.dtype).removeprefix('torch.')} {tuple(signs.shape)}"
        raise CheckpointError(f"{path}: {name} must be int16 ({count // 16},), not {held}")
    bits = (signs.flatten().to(torch.int32)[:, None] >> torch.arange(16)) & 1
    return (1 - 2 * bits).flatten().half()


def _check_parts(tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str) -> None:
    """A layer without the tensor that names its codebook would be decoded by another one."""
    storage = config.get("tensor_storage")
    own = storage.get(path) if isinstance(storage, Mapping) else None
    if isinstance(own, Mapping) and isinstance(own.get("stored_tensors"), Mapping):
        named = {name.removeprefix(f"{path}.") for name in own["stored_tensors"]} - {"bias"}
    else:
        named = {config.get("codebook")} & {"mcg", "mul1"}
    if missing := named - tensors.keys():
        raise CheckpointError(
            f"{path}: {' and '.join(sorted(missing))} missing, which the quantization names"
        )


def _codebook(tensors: dict[str, Tensor], path: str) -> str:
    """Which one a layer names, by a tensor with its multiplier."""
    named = [name for name in ("mcg", "mul1") if name in tensors]
    if len(named) > 1:
        raise CheckpointError(f"{path}: it names two codebooks, mcg and mul1")
    if not named:
        return "3inst"
    held = tensors[named[0]]
    multiplier = int(held.item()) & 0xFFFFFFFF if held.numel() == 1 else -1
    if held.is_floating_point() or multiplier != MULTIPLIERS[named[0]]:
        raise CheckpointError(
            f"{path}: {named[0]} is {held.flatten()[:4].tolist()}; only the multiplier "
            f"{MULTIPLIERS[named[0]]:#x} is supported"
        )
    return named[0]


def memory(
    tensors: dict[str, TensorInfo], config: Mapping[str, Any], shape: tuple[int, ...] = (0, 0)
) -> int:
    """Bytes of the decoded matrix; of others as in the file."""
    if "trellis" not in tensors:
        return sum(info.nbytes for info in tensors.values())
    scales = tensors.get("suh")
    each = scales.nbytes // max(1, scales.shape[0]) if scales is not None and scales.shape else 2
    return shape[0] * shape[1] * each
