"""Q8_0, Q8_1 and Q8_K: signed bytes and a scale.

    Q8_0  | d f16 | codes 32 x int8 |                     32 weights, weight = d * code
    Q8_1  | d f16 | sum f16 | codes 32 x int8 |           the same
    Q8_K  | d f32 | codes 256 x int8 | sums 16 x i16 |    256 weights, weight = d * code

A layout's codes are unsigned: 128 is added, which for a byte is flipping its highest bit. The sums
of codes, for products, are not read. Source: ggml's block_q8_0, block_q8_1, block_q8_K.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tramontane.layouts import Affine

from .blocks import Out, Raw, chunks, field

Q8_0 = np.dtype([("d", "<f2"), ("codes", "V32")])
Q8_1 = np.dtype([("d", "<f2"), ("sum", "<f2"), ("codes", "V32")])
Q8_K = np.dtype([("d", "<f4"), ("codes", "V256"), ("sums", "V32")])


def q8_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q8_0 blocks as Affine with zero 128."""
    return _affine(raw, rows, columns, Q8_0, torch.float16)


def q8_1(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q8_1 blocks as Affine with zero 128."""
    return _affine(raw, rows, columns, Q8_1, torch.float16)


def q8_k(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q8_K blocks as Affine with zero 128."""
    return _affine(raw, rows, columns, Q8_K, torch.float32)


def _affine(raw: Raw, rows: int, columns: int, block: np.dtype[Any], dtype: torch.dtype) -> Affine:
    """The same for a kind of block. dtype: of its scales."""
    group = block["codes"].itemsize
    count = rows * columns // group
    codes, scale = Out(torch.uint8, rows, columns), Out(dtype, rows, columns // group)
    for place, blocks in chunks(raw, block):
        scale.blocks(count)[place, 0] = blocks["d"]
        np.bitwise_xor(field(blocks, "codes"), 0x80, out=codes.blocks(count)[place])
    return Affine(8, group, (codes.tensor,), scale.tensor, zero=128)
