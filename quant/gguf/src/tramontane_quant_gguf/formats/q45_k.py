"""Q4_K and Q5_K: 256 weights, 8 groups of 32, each with a 6-bit scale and a 6-bit minimum.

    Q4_K  | d f16 | dmin f16 | scales 12 bytes | codes 128 bytes |
    Q5_K  | d f16 | dmin f16 | scales 12 bytes | high 32 bytes | codes 128 bytes |
    weight = d * scale * code - dmin * minimum

Byte i of each 32 codes has column i low and column 32 + i high; bit g of byte i of `high` is the
fifth of column 32 g + i. Scale g < 4 is the low six bits of byte g, minimum g of byte 4 + g; of
scale and minimum 4 + g the low four bits are the halves of byte 8 + g, and the upper two are the
upper two of bytes g and 4 + g. Source: ggml's block_q4_K, block_q5_K.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine

from .bits import nibbles, single_bits
from .blocks import Out, Raw, chunks, field

Q4_K = np.dtype([("d", "<f2"), ("dmin", "<f2"), ("scales", "V12"), ("codes", "V128")])
Q5_K = np.dtype(
    [("d", "<f2"), ("dmin", "<f2"), ("scales", "V12"), ("high", "V32"), ("codes", "V128")]
)


def q4_k(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q4_K blocks as two-level Affine with a minimum."""
    return _translate(raw, rows, columns, Q4_K)


def q5_k(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q5_K blocks as two-level Affine with a minimum."""
    return _translate(raw, rows, columns, Q5_K)


def _translate(raw: Raw, rows: int, columns: int, block: np.dtype[np.void]) -> Affine:
    count = rows * columns // 256
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.uint8, rows, columns // 32)
    minimum, d = Out(torch.uint8, rows, columns // 32), Out(torch.float16, rows, columns // 256)
    dmin = Out(torch.float16, rows, columns // 256)
    high = Out(torch.uint8, rows, columns // 8) if block is Q5_K else None
    for place, blocks in chunks(raw, block):
        d.blocks(count)[place, 0] = blocks["d"]
        np.negative(blocks["dmin"], out=dmin.blocks(count)[place, 0])
        packed = field(blocks, "scales")
        scales(packed, scale.blocks(count)[place], minimum.blocks(count)[place])
        halves = field(blocks, "codes").reshape(-1, 32)
        out = codes.items(count, 16)[place].reshape(-1, 2)
        nibbles(halves, out)
        if high is not None:
            high.blocks(count)[place] = single_bits(field(blocks, "high"))
    planes = (codes.tensor,) if high is None else (codes.tensor, high.tensor)
    return Affine(
        3 + len(planes), 32, planes, scale.tensor,
        minimum=minimum.tensor, super_scale=d.tensor, super_minimum=dmin.tensor,
    )  # fmt: skip


def scales(packed: NDArray[np.uint8], scale: NDArray[np.uint8], minimum: NDArray[np.uint8]) -> None:
    """(blocks, 12) bytes into (blocks, 8) scales and (blocks, 8) minima from 0 to 63."""
    first, second, third = packed.view("<u4").T  # four bytes at a time
    scale_words, minimum_words = scale.view("<u4"), minimum.view("<u4")
    np.bitwise_and(first, 0x3F3F3F3F, out=scale_words[:, 0])
    np.bitwise_and(second, 0x3F3F3F3F, out=minimum_words[:, 0])
    np.bitwise_or(third & 0x0F0F0F0F, first >> 2 & 0x30303030, out=scale_words[:, 1])
    np.bitwise_or(third >> 4 & 0x0F0F0F0F, second >> 2 & 0x30303030, out=minimum_words[:, 1])
