"""One matrix's parts to a layout, exactly.

    FP8    weight = number * dequant_w_scale             number e4m3, one scale for the matrix
    F8Q8   | d e4m3 | q 32 x int8 |                      weight = q * (d / 416)
    Q8_1   | d f16 | sum f16 | q 32 x int8 |             weight = d * q
    Q8_K   | d f32 | q 256 x int8 | sums 16 x int16 |    weight = d * q
    MXFP4  weight = 2^(scale - 127) * number             number E2M1, the lower half of a byte first

GGML's other blocks, HQQ and AFQ are those of their own distributions; all compute in float32.
Codes of int8 become unsigned: 128 is added, which is flipping a byte's highest bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook, Dense, Layout
from tramontane_quant_afq.layers import translate as translate_afq
from tramontane_quant_gguf.formats.table import FORMATS
from tramontane_quant_hqq.matrix import Matrix
from tramontane_quant_hqq.packing import PACKINGS

from .parts import AFQ, DENSE, F8Q8, FP8, GGML, HQQ, MXFP4, NAMES

F8Q8_DIVISOR = 416.0
FLOATS = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
"""GGML's plain types."""

Parts = Mapping[str, Tensor]
"""Tensors by their names below NAME.weight; "" is the weight itself."""


def shape_of(kind: int, parts: Parts, name: str) -> tuple[int, ...]:
    """(rows, columns) or (experts, rows, columns). Raises CheckpointError."""
    sizes = tuple(parts[""].shape)
    if kind in (GGML, HQQ, F8Q8):
        sizes = tuple(int(size) for size in parts["shape"].flatten().tolist())
    elif kind == AFQ:
        sizes = (*sizes[:-1], sizes[-1] * 32 // max(1, one(parts, "bits", name)))
    elif kind == MXFP4:
        sizes = (*sizes[:-1], sizes[-1] * 2)
    least = 1 if kind == DENSE else 2
    if not least <= len(sizes) <= 3 or min(sizes) <= 0:
        raise CheckpointError(f"{name}: its shape {sizes} is not rows and columns")
    return sizes


def one(parts: Parts, part: str, name: str) -> int:
    """A whole number that is a part. Raises CheckpointError."""
    tensor = parts[part]
    if tensor.numel() != 1 or tensor.is_floating_point():
        raise CheckpointError(
            f"{name}: {part} is {tensor.dtype} {tuple(tensor.shape)}, not one whole number"
        )
    return int(tensor.item())


def layout_of(kind: int, parts: Parts, name: str) -> Layout:
    """(rows, columns), experts one below the other. Raises CheckpointError."""
    shape = shape_of(kind, parts, name)
    if kind == DENSE:
        plain = parts[""]
        return Dense(plain.flatten(0, 1) if len(shape) == 3 else plain)
    rows, columns = prod(shape[:-1]), shape[-1]
    return TRANSLATE[kind](parts, rows, columns, name)


def _ggml(parts: Parts, rows: int, columns: int, name: str) -> Layout:
    number = one(parts, "dtype", name)
    raw = _bytes(parts, name)
    if number in FLOATS:
        dtype = FLOATS[number]
        _whole(raw, rows * columns * dtype.itemsize, name, str(dtype))
        return Dense(raw.contiguous().view(dtype).view(rows, columns))
    if number in OWN:
        title, count, size, translate = OWN[number]
        _blocks(raw, rows, columns, count, size, name, title)
        return translate(raw.view(-1, size), rows, columns)
    if number not in FORMATS:
        raise CheckpointError(f"{name}: dtype={number} is no type of GGML that is supported")
    title, count, size, from_file = FORMATS[number]
    _blocks(raw, rows, columns, count, size, name, title)
    return from_file(raw.numpy(), rows, columns)


def _q8_1(blocks: Tensor, rows: int, columns: int) -> Affine:
    scale = blocks[:, :2].contiguous().view(torch.float16).view(rows, -1)
    return _signed(blocks[:, 4:], scale, rows, columns)


def _q8_k(blocks: Tensor, rows: int, columns: int) -> Affine:
    scale = blocks[:, :4].contiguous().view(torch.float32).view(rows, -1)
    return _signed(blocks[:, 4:260], scale, rows, columns)


def _signed(codes: Tensor, scale: Tensor, rows: int, columns: int) -> Affine:
    """Codes of int8, as bytes, (blocks, columns of a block)."""
    plane = (codes ^ 128).reshape(rows, columns)
    return Affine(8, codes.shape[1], (plane,), scale, zero=128)


OWN: dict[int, tuple[str, int, int, Callable[[Tensor, int, int], Affine]]] = {
    9: ("Q8_1", 32, 36, _q8_1),
    15: ("Q8_K", 256, 292, _q8_k),
}
"""Types of GGML that GGUF files do not have: name, weights and bytes of a block, translation."""


def _hqq(parts: Parts, rows: int, columns: int, name: str) -> Layout:
    bits = one(parts, "bits", name)
    return Matrix(
        path=name,
        shape=(rows, columns),
        words=parts[""],
        scale=parts["scales"],
        zero=parts["zeros"],
        bits=bits,
        group=one(parts, "group_size", name) if one(parts, "channel_wise", name) else 0,
        axis=one(parts, "axis", name),
        packing=PACKINGS.get(bits, f"{bits} bits"),
        dtype=torch.float32,
    ).layout()


def _fp8(parts: Parts, rows: int, columns: int, name: str) -> Codebook:
    weight, scale = parts[""], parts["dequant_w_scale"]
    if weight.dtype != torch.float8_e4m3fn or scale.numel() != 1:
        raise CheckpointError(
            f"{name}: weight is {weight.dtype}, dequant_w_scale {tuple(scale.shape)}; fp8 has "
            "float8_e4m3fn and one number"
        )
    table = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    codes = weight.view(torch.uint8).reshape(rows, columns)
    scales = scale.float().reshape(1, 1).expand(rows, 1).contiguous()
    return Codebook(8, columns, (codes,), table, scales)


def _afq(parts: Parts, rows: int, columns: int, name: str) -> Layout:
    settings = {"bits": one(parts, "bits", name), "group_size": one(parts, "group_size", name)}
    tensors = {"weight": parts[""], "scales": parts["scales"], "biases": parts["biases"]}
    made = translate_afq(tensors, settings, name, (rows, columns))
    assert made is not None
    return made


def _f8q8(parts: Parts, rows: int, columns: int, name: str) -> Affine:
    raw = _bytes(parts, name)
    _blocks(raw, rows, columns, 32, 33, name, "F8Q8")
    if (said := one(parts, "num_blocks", name)) != len(raw) // 33:
        raise CheckpointError(f"{name}: num_blocks={said}, and {len(raw) // 33} are there")
    blocks = raw.view(-1, 33)
    number = blocks[:, 0].contiguous().view(torch.float8_e4m3fn).float()
    # divided as float32 numbers
    scale = torch.from_numpy(number.numpy() / np.float32(F8Q8_DIVISOR))
    return _signed(blocks[:, 1:], scale.view(rows, -1), rows, columns)


def _mxfp4(parts: Parts, rows: int, columns: int, name: str) -> Layout:
    weight, scales = parts[""], parts["scales"]
    if weight.dtype != torch.uint8 or columns % 32 or columns // 2 % 4:
        raise CheckpointError(f"{name}: mxfp4 is uint8 with columns in 32s, not {weight.dtype}")
    settings = {"bits": 4, "group_size": 32, "mode": "mxfp4"}
    words = weight.reshape(rows, -1).contiguous().view(torch.uint32)
    tensors = {"weight": words, "scales": scales.reshape(rows, -1)}
    made = translate_afq(tensors, settings, name, (rows, columns))
    assert made is not None
    return made


TRANSLATE: dict[int, Callable[[Parts, int, int, str], Layout]] = {
    GGML: _ggml, HQQ: _hqq, FP8: _fp8, AFQ: _afq, F8Q8: _f8q8, MXFP4: _mxfp4,
}  # fmt: skip
assert {*TRANSLATE, DENSE} == set(NAMES)


def _bytes(parts: Parts, name: str) -> Tensor:
    if parts[""].dtype != torch.uint8:
        raise CheckpointError(f"{name}: blocks are bytes, not {parts[''].dtype}")
    return parts[""].flatten()


def _whole(raw: Tensor, size: int, name: str, title: str) -> None:
    if len(raw) != size:
        raise CheckpointError(f"{name}: {len(raw)} bytes, {title} of its shape has {size}")


def _blocks(
    raw: Tensor, rows: int, columns: int, count: int, size: int, name: str, title: str
) -> None:
    if columns % count:
        raise CheckpointError(f"{name}: {columns} columns are no multiple of {count} ({title})")
    _whole(raw, rows * columns // count * size, name, title)
