"""Q5_0 and Q5_1: as Q4_0 and Q4_1, with the fifth bits of the 32 codes in a word before them.

    Q5_0  | d f16 | high 4 bytes | codes 16 bytes |             weight = d * (code - 16)
    Q5_1  | d f16 | m f16 | high 4 bytes | codes 16 bytes |     weight = d * code + m

Bit j of the little-endian word is column j's: already a plane of width 1.
Source: ggml's block_q5_0, block_q5_1.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Affine

from .bits import nibbles
from .blocks import Out, Raw, chunks, field

Q5_0 = np.dtype([("d", "<f2"), ("high", "V4"), ("codes", "V16")])
Q5_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("high", "V4"), ("codes", "V16")])


def q5_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q5_0 blocks as Affine with zero 16."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.float16, rows, columns // 32)
    high = Out(torch.uint8, rows, columns // 8)
    for place, blocks in chunks(raw, Q5_0):
        scale.blocks(count)[place, 0] = blocks["d"]
        high.items(count, 4)[place, 0] = blocks["high"]
        nibbles(field(blocks, "codes"), codes.items(count, 8)[place])
    return Affine(5, 32, (codes.tensor, high.tensor), scale.tensor, zero=16)


def q5_1(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q5_1 blocks as Affine with a minimum."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.float16, rows, columns // 32)
    high, minimum = Out(torch.uint8, rows, columns // 8), Out(torch.float16, rows, columns // 32)
    for place, blocks in chunks(raw, Q5_1):
        scale.blocks(count)[place, 0] = blocks["d"]
        minimum.blocks(count)[place, 0] = blocks["m"]
        high.items(count, 4)[place, 0] = blocks["high"]
        nibbles(field(blocks, "codes"), codes.items(count, 8)[place])
    return Affine(5, 32, (codes.tensor, high.tensor), scale.tensor, minimum=minimum.tensor)
