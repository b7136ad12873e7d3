"""Integers times scales: Int8Tensor, IntxUnpackedToInt8Tensor and Int4Tensor.

weight = (code - zero) * scale, each result rounded to the matrix's dtype; scale and zero are those
of a block. Experts are (count, rows, columns) everywhere.

Int8Tensor: qdata int8 (rows, columns); scale, zero_point (rows / high, columns / wide).
IntxUnpackedToInt8Tensor: the same for codes of 1 to 8 bits, one in each int8; zeros may be
    fractions.
Int4Tensor: qdata int8 (rows, columns / 2), two signed codes in a byte, the first in its low half;
    scale, zero_point (groups, rows), and weight = code * scale + zero_point.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import PLANES, Affine, Dense, Layout, pack
from tramontane.layouts.block_scales import NARROW

from .blocks import Blocks, blocks_of
from .described import Described

HELD = {1: 2, 7: 8}
"""Bits that codes have in a layout, where there are no planes of as many."""


def int8(tensors: Mapping[str, Tensor], said: Described) -> Layout:
    """An Int8Tensor. Raises CheckpointError."""
    return _signed(tensors, 8, said)


def intx(tensors: Mapping[str, Tensor], said: Described) -> Layout:
    """An IntxUnpackedToInt8Tensor. Raises CheckpointError."""
    return _signed(tensors, bits_of(said), said)


def bits_of(said: Described) -> int:
    """Of the codes of an IntxUnpackedToInt8Tensor. Raises CheckpointError."""
    name = said.type_name("target_dtype")
    if name not in (names := [f"int{bits}" for bits in range(1, 9)]):
        raise said.wrong("target_dtype", f"one of {', '.join(names)}")
    return int(name.removeprefix("int"))


def _signed(tensors: Mapping[str, Tensor], bits: int, said: Described) -> Layout:
    codes, scale, zero = tensors["qdata"], tensors["scale"], tensors.get("zero_point")
    if codes.dtype != torch.int8:
        raise CheckpointError(f"{said.path}: its qdata is {name_of(codes)}, not int8")
    floats(scale, said)
    blocks = blocks_of(tuple(codes.shape), said.sizes("block_size"), scale.numel(), said.path)
    if zero is not None and zero.numel() != scale.numel():
        raise CheckpointError(
            f"{said.path}: {zero.numel()} zero points do not belong to {scale.numel()} scales"
        )
    return affine(codes.flatten(0, -2), bits, scale, zero, blocks, said.dtype("dtype"))


def affine(
    codes: Tensor, bits: int, scale: Tensor, zero: Tensor | None, blocks: Blocks, dtype: torch.dtype
) -> Layout:
    """codes: (all rows, columns) int8. zero: as scale. Dense where no layout has such groups."""
    held = held_bits(bits, codes.shape[1])
    offset = 1 << (held - 1)
    low, high = (int(found) for found in codes.aminmax())
    if low < -offset or high >= offset:
        held, offset = 8, 128
    scales, zeros = blocks.spread(scale), None if zero is None else blocks.spread(zero)
    moved = _moved(zeros, offset, dtype)
    if blocks.group < NARROW or moved is None:
        return Dense(_numbers(codes, scales, zeros, blocks.group, dtype))
    if held == 8:
        planes: tuple[Tensor, ...] = (codes.contiguous().view(torch.uint8) ^ 128,)
    else:
        planes = pack((codes + offset).view(torch.uint8), held)
    rounded = None if dtype == torch.float32 else dtype
    return Affine(held, blocks.group, planes, scales, moved, rounded=rounded)


def held_bits(bits: int, columns: int) -> int:
    """Bits that codes have in a layout: 8 where a row would end within a byte."""
    held = HELD.get(bits, bits)
    return held if all(columns * width % 8 == 0 for width in PLANES[held]) else 8


def _moved(zero: Tensor | None, offset: int, dtype: torch.dtype) -> int | Tensor | None:
    """Zeros of signed codes as those of codes that are so much larger; None: no float has them."""
    if zero is None or not bool(zero.any()):
        return offset
    if zero.is_floating_point():
        zero = zero.to(dtype).float()
        moved = zero + offset
        return moved if torch.equal(moved.double(), zero.double() + offset) else None
    moved = zero.to(torch.int16) + offset
    fits = int(moved.min()) >= 0 and int(moved.max()) <= 255
    return moved.to(torch.uint8 if fits else torch.float32)


def _numbers(
    codes: Tensor, scale: Tensor, zero: Tensor | None, group: int, dtype: torch.dtype
) -> Tensor:
    """The numbers as torchao computes them. scale, zero: (rows, columns / group)."""
    apart = codes.to(dtype)
    if zero is not None:
        apart = apart - zero.to(dtype).repeat_interleave(group, 1)
    return (apart * scale.repeat_interleave(group, 1)).to(dtype)


def int4(tensors: Mapping[str, Tensor], said: Described) -> Layout:
    """An Int4Tensor. Raises CheckpointError."""
    raw, scale, zero = tensors["qdata"], tensors["scale"], tensors["zero_point"]
    if raw.dtype not in (torch.int8, torch.uint8) or raw.ndim < 2:
        raise CheckpointError(f"{said.path}: its qdata is {name_of(raw)}, not bytes of codes")
    shape = (*raw.shape[:-1], raw.shape[-1] * 2)
    if said.sizes("shape") != shape:
        raise said.wrong("shape", f"{list(shape)}, as its qdata has")
    group = group_of(said)
    floats(scale, said)
    *stack, rows, columns = shape
    if columns % group or tuple(scale.shape) != (*stack, columns // group, rows):
        raise CheckpointError(
            f"{said.path}: scales of {tuple(scale.shape)} do not belong to weights of {shape} in "
            f"groups of {group}"
        )
    if zero.shape != scale.shape or not zero.is_floating_point():
        raise CheckpointError(
            f"{said.path}: its zero points are {name_of(zero)}, its scales {name_of(scale)}"
        )
    plane = raw.flatten(0, -2).contiguous().view(torch.uint8) ^ 0x88
    scales, least = (each.transpose(-1, -2).flatten(0, -2) for each in (scale, zero))
    return Affine(4, group, (plane,), scales, 8, minimum=least)


def group_of(said: Described) -> int:
    """Columns that have one scale, in formats that only have groups. Raises CheckpointError."""
    *others, group = said.sizes("block_size") or (0,)
    if set(others) - {1} or group < NARROW:
        raise said.wrong("block_size", f"1 for all but the columns, and {NARROW} or more of those")
    return group


def floats(scale: Tensor, said: Described) -> None:
    """Raises CheckpointError for scales that are none."""
    if not scale.is_floating_point():
        raise CheckpointError(f"{said.path}: its scales are {name_of(scale)}, not floats")


def name_of(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
