"""Q4_0 and Q4_1: 32 weights in 16 bytes, one scale.

    Q4_0  | d f16 | codes 16 bytes |             weight = d * (code - 8)
    Q4_1  | d f16 | m f16 | codes 16 bytes |     weight = d * code + m

Byte i of the codes has column i in its low half and column 16 + i in its high half.
Source: ggml's block_q4_0, block_q4_1.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Affine

from .bits import nibbles
from .blocks import Out, Raw, chunks, field

Q4_0 = np.dtype([("d", "<f2"), ("codes", "V16")])
Q4_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("codes", "V16")])


def q4_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q4_0 blocks as Affine with zero 8."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.float16, rows, columns // 32)
    for place, blocks in chunks(raw, Q4_0):
        scale.blocks(count)[place, 0] = blocks["d"]
        nibbles(field(blocks, "codes"), codes.items(count, 8)[place])
    return Affine(4, 32, (codes.tensor,), scale.tensor, zero=8)


def q4_1(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q4_1 blocks as Affine with a minimum."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.float16, rows, columns // 32)
    minimum = Out(torch.float16, rows, columns // 32)
    for place, blocks in chunks(raw, Q4_1):
        scale.blocks(count)[place, 0] = blocks["d"]
        minimum.blocks(count)[place, 0] = blocks["m"]
        nibbles(field(blocks, "codes"), codes.items(count, 8)[place])
    return Affine(4, 32, (codes.tensor,), scale.tensor, minimum=minimum.tensor)
