"""Integers times scales: pack-quantized, int-quantized, and naive-quantized with integers.

weight = (code - zero) * scale, rounded once to the scales' dtype, of a group of columns, a row
("channel"), a block or the whole matrix ("tensor").

pack-quantized: weight_packed int32 (rows, words), weight_shape int64 (rows, columns); codes are
    stored with 2^(bits - 1) added, along a row. weight_zero_point int32 (words, groups), likewise,
    but DOWN the rows.
int-quantized: weight int8 (rows, columns), weight_zero_point int8 of the scales' shape.
weight_g_idx int32 (columns): the group of each column, where they are not in order; -1: they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import PLANES, Affine, Dense, Layout, Permuted, pack
from tramontane.layouts.block_scales import NARROW

from .scales import placed, said
from .scheme import Scheme
from .words import unpack_words, width

HELD = {1: 2, 7: 8}
"""Bits that codes have in a layout, where it is not as many as in the file."""


def packed(tensors: Mapping[str, Tensor], scheme: Scheme, path: str) -> Layout:
    """A matrix of pack-quantized. Raises CheckpointError, KeyError for what is missing."""
    words, shape = tensors["weight_packed"], tensors["weight_shape"].tolist()
    bits = scheme.bits
    if words.dtype != torch.int32 or words.ndim != 2:
        raise CheckpointError(f"{path}: weight_packed is {said(words)}; it must be int32 of rows")
    if len(shape) != 2 or shape[0] != len(words) or shape[1] < 1:
        raise CheckpointError(f"{path}: weight_shape {shape} does not fit {said(words)} of words")
    rows, columns = shape
    if words.shape[1] not in (width(columns, bits, padded=way) for way in (False, True)):
        raise CheckpointError(
            f"{path}: {words.shape[1]} words a row do not have {columns} codes of {bits} bits"
        )
    zero = None
    if not scheme.symmetric:
        zero = tensors["weight_zero_point"]
        if scheme.strategy in ("group", "channel"):
            zero = _packed_zeros(zero, scheme, rows, path)
        else:
            zero = (zero.to(torch.int16) + (1 << (bits - 1))).to(torch.uint8)
    plane = None
    if bits in PLANES and 32 % bits == 0 and columns * bits % 8 == 0:
        plane = words.contiguous().view(torch.uint8)[:, : columns * bits // 8]
    codes = Codes(
        rows, columns, bits, lambda: unpack_words(words, bits, columns, scheme.padded), plane
    )
    return scaled(codes, tensors["weight_scale"], zero, tensors.get("weight_g_idx"), scheme, path)


def _packed_zeros(words: Tensor, scheme: Scheme, rows: int, path: str) -> Tensor:
    """(groups, rows) from words down the rows, as (rows, groups)."""
    if words.dtype == torch.int32 and words.ndim == 2:
        ways = (width(rows, scheme.bits, padded=way) for way in (False, True))
        if len(words) in ways:
            return unpack_words(words.T, scheme.bits, rows, scheme.padded).T
    raise CheckpointError(
        f"{path}: weight_zero_point is {said(words)}, which has no zeros of {scheme.bits} bits "
        f"for {rows} rows"
    )


def whole(tensors: Mapping[str, Tensor], scheme: Scheme, path: str) -> Layout:
    """A matrix of one int8 a weight. Raises CheckpointError, KeyError for what is missing."""
    weight = tensors["weight"]
    if weight.dtype != torch.int8 or weight.ndim != 2:
        raise CheckpointError(f"{path}: its weight is {said(weight)}; it must be int8 of rows")
    zero = None
    if not scheme.symmetric:
        zero = (tensors["weight_zero_point"].to(torch.int16) + 128).to(torch.uint8)
    plane = weight.view(torch.uint8) ^ 128
    rows, columns = weight.shape
    codes = Codes(rows, columns, 8, lambda: plane, plane)
    return scaled(codes, tensors["weight_scale"], zero, tensors.get("weight_g_idx"), scheme, path)


@dataclass(frozen=True)
class Codes:
    """Codes around 2^(bits - 1). each: makes them (rows, columns) uint8. plane: they are stored so
    already, as layouts have codes of 2, 4 and 8 bits; or None."""

    rows: int
    columns: int
    bits: int
    each: Callable[[], Tensor]
    plane: Tensor | None


def scaled(
    codes: Codes, scale: Tensor, zero: Tensor | None, group_of: Tensor | None,
    scheme: Scheme, path: str,
) -> Layout:  # fmt: skip
    """Codes times scales. scale, zero: one for each block of the strategy; group_of: (columns).
    Raises CheckpointError."""
    blocks, view = placed(scheme, codes.rows, codes.columns, scale, path)
    spread = blocks.spread(scale.reshape(view))
    zeros: int | Tensor = 1 << (codes.bits - 1)
    if zero is not None:
        if zero.numel() != scale.numel():
            raise CheckpointError(
                f"{path}: {zero.numel()} zero points do not belong to {scale.numel()} scales"
            )
        zeros = blocks.spread(zero.reshape(view))
    held, group = HELD.get(codes.bits, codes.bits), blocks.group
    packs = group >= NARROW and all(codes.columns * width % 8 == 0 for width in PLANES[held])
    if group_of is None or bool((group_of == -1).any()):
        if not packs:
            columns = torch.arange(codes.columns) // group
            return _dense(codes.each(), spread, zeros, columns)
        planes = (codes.plane,) if codes.plane is not None else _planes(codes.each(), held)
        return Affine(held, group, planes, spread, zeros)
    _check_groups(group_of, codes.columns, spread.shape[1], path)
    # every group has as many columns as the others, or there is no order that a layout can have
    if packs and bool((group_of.bincount(minlength=spread.shape[1]) == group).all()):
        order = group_of.argsort(stable=True)
        planes = _planes(codes.each().index_select(1, order), held)
        return Permuted(Affine(held, group, planes, spread, zeros), order.to(torch.int32)[None])
    return _dense(codes.each(), spread, zeros, group_of.long())


def _planes(codes: Tensor, bits: int) -> tuple[Tensor, ...]:
    """As `pack`, for columns that fill whole bytes of each plane."""
    columns = codes.shape[1]
    padded = torch.nn.functional.pad(codes, (0, -columns % 8))
    planes = pack(padded, bits)
    return tuple(
        plane[:, : columns * width // 8] for plane, width in zip(planes, PLANES[bits], strict=True)
    )


def _check_groups(group_of: Tensor, columns: int, groups: int, path: str) -> None:
    if group_of.dtype.is_floating_point or tuple(group_of.shape) != (columns,):
        raise CheckpointError(
            f"{path}: weight_g_idx is {said(group_of)}; it must name a group for each of "
            f"{columns} columns"
        )
    if int(group_of.min()) < 0 or int(group_of.max()) >= groups:
        raise CheckpointError(
            f"{path}: weight_g_idx names groups from {int(group_of.min())} to "
            f"{int(group_of.max())}, and there are {groups}"
        )


def _dense(codes: Tensor, scale: Tensor, zero: int | Tensor, group_of: Tensor) -> Dense:
    """The library's own numbers, for what no layout has. group_of: (columns) int64."""
    apart = codes.float()
    apart -= zero.index_select(1, group_of) if isinstance(zero, Tensor) else zero
    return Dense((apart * scale.float().index_select(1, group_of)).to(scale.dtype))
