"""Floats of 4, 6 and 8 bits times scales: Float8Tensor, MXTensor and NVFP4Tensor.

weight = number * scale, rounded once to the matrix's dtype. Experts are (count, rows, columns).

Float8Tensor: qdata float8 (rows, columns); scale float32, whose shape says of which blocks.
MXTensor: qdata float8 (rows, columns), or bytes of 6-bit floats one by one, or of two 4-bit floats,
    the first in the low half; scale float8_e8m0fnu (rows, columns / block_size).
NVFP4Tensor: qdata bytes of two 4-bit floats; scale float8_e4m3fn (rows, columns / 16), times the
    per_tensor_scale of the matrix, or of each expert, if there is one.

Swizzled scales lie in tiles of 128 rows and 4 groups, (32, 16): row r of a tile has its scales in
line r % 32 from column 4 (r / 32) on. Rows and groups are filled up to whole tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, Dense, Layout, float_table, pack
from tramontane.layouts.block_scales import NARROW

from .blocks import by_scales
from .described import Described
from .integers import floats, name_of

EIGHT = {torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2"}
ELEMENTS = {
    "float8_e4m3fn": (8, "e4m3"), "float8_e5m2": (8, "e5m2"), "fp6_e2m3": (6, "e2m3"),
    "fp6_e3m2": (6, "e3m2"), "float4_e2m1fn_x2": (4, "e2m1"),
}  # fmt: skip
"""Bits and table of the numbers of an MXTensor, by its elem_dtype."""


def float8(tensors: Mapping[str, Tensor], said: Described) -> Layout:
    """A Float8Tensor. Raises CheckpointError."""
    raw, scale = tensors["qdata"], tensors["scale"]
    if raw.dtype not in EIGHT or raw.ndim < 2:
        raise CheckpointError(f"{said.path}: its qdata is {name_of(raw)}, not a matrix of float8")
    floats(scale, said)
    blocks = by_scales(tuple(raw.shape), tuple(scale.shape), said.path)
    codes = raw.flatten(0, -2).contiguous().view(torch.uint8)
    table, dtype = float_table(EIGHT[raw.dtype]), said.dtype("dtype")
    made = Codebook(8, blocks.group, (codes,), table, blocks.spread(scale), rounded=_rounded(dtype))
    return made if blocks.group >= NARROW else Dense(made.decode(dtype))


def mx(tensors: Mapping[str, Tensor], said: Described) -> Layout:
    """An MXTensor. Raises CheckpointError."""
    raw, name = tensors["qdata"], said.type_name("elem_dtype")
    if name not in ELEMENTS:
        raise said.wrong("elem_dtype", f"one of {', '.join(ELEMENTS)}")
    bits, table = ELEMENTS[name]
    if raw.ndim < 2 or name_of(raw).split()[0] != (name if bits == 8 else "uint8"):
        raise CheckpointError(f"{said.path}: its qdata is {name_of(raw)}, not codes of {name}")
    rows = raw.flatten(0, -2).contiguous().view(torch.uint8)
    columns = raw.shape[-1] * 2 if bits == 4 else raw.shape[-1]
    if bits == 6 and (columns % 8 or int(rows.max()) > 63):
        raise CheckpointError(f"{said.path}: its qdata {name_of(raw)} are not codes of 6 bits")
    group = said.number("block_size")
    scale = _scales(tensors["scale"], len(rows), columns, group, torch.float8_e8m0fnu, said)
    planes = pack(rows, 6) if bits == 6 else (rows,)
    rounded = _rounded(said.dtype("orig_dtype"))
    return Codebook(bits, group, planes, float_table(table), scale, rounded=rounded)


def nvfp4(tensors: Mapping[str, Tensor], said: Described) -> Layout:
    """An NVFP4Tensor. Raises CheckpointError."""
    raw, whole = tensors["qdata"], tensors.get("per_tensor_scale")
    if raw.dtype != torch.uint8 or raw.ndim < 2:
        raise CheckpointError(f"{said.path}: its qdata is {name_of(raw)}, not bytes of two codes")
    rows, group = raw.flatten(0, -2).contiguous(), said.number("block_size")
    columns = rows.shape[1] * 2
    scale = _scales(tensors["scale"], len(rows), columns, group, torch.float8_e4m3fn, said)
    above = None
    if whole is not None:
        if whole.numel() not in (1, prod(raw.shape[:-2])) or not whole.is_floating_point():
            raise CheckpointError(
                f"{said.path}: per_tensor_scale is {name_of(whole)}; it must be one float for each "
                "matrix"
            )
        above = whole.reshape(-1, 1).repeat_interleave(len(rows) // whole.numel(), 0)
    return Codebook(
        4, group, (rows,), float_table("e2m1"), scale, above,
        rounded=_rounded(said.dtype("orig_dtype")),
    )  # fmt: skip


def _scales(
    scale: Tensor, rows: int, columns: int, group: int, dtype: torch.dtype, said: Described
) -> Tensor:
    """(rows, columns / group), out of their tiles if they lie so. Raises CheckpointError."""
    if group < NARROW or columns % group:
        raise said.wrong("block_size", f"{NARROW} or more, and divide {columns} columns")
    groups = columns // group
    tiles = (-(-rows // 128), -(-groups // 4))
    swizzled = said.flag("is_swizzled_scales")
    count = prod(tiles) * 512 if swizzled else rows * groups
    if scale.dtype != dtype or scale.numel() != count:
        kind = str(dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{said.path}: its scales are {name_of(scale)}; {rows} rows of {groups} groups have "
            f"{count} of {kind}"
        )
    if not swizzled:
        return scale.reshape(rows, groups)
    placed = scale.view(torch.uint8).reshape(*tiles, 32, 4, 4)
    placed = placed.permute(0, 3, 2, 1, 4).reshape(tiles[0] * 128, tiles[1] * 4)
    return placed[:rows, :groups].contiguous().view(dtype)


def _rounded(dtype: torch.dtype) -> torch.dtype | None:
    return None if dtype == torch.float32 else dtype
