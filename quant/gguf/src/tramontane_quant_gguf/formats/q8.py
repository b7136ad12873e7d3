"""Q8_0: 32 signed bytes and a scale.

    | d f16 | codes 32 x int8 |     weight = d * code

A layout's codes are unsigned: 128 is added, which for a byte is flipping its highest bit.
Source: ggml's block_q8_0.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Affine

from .blocks import Out, Raw, chunks, field

Q8_0 = np.dtype([("d", "<f2"), ("codes", "V32")])


def q8_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q8_0 blocks as Affine with zero 128."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns), Out(torch.float16, rows, columns // 32)
    for place, blocks in chunks(raw, Q8_0):
        scale.blocks(count)[place, 0] = blocks["d"]
        np.bitwise_xor(field(blocks, "codes"), 0x80, out=codes.blocks(count)[place])
    return Affine(8, 32, (codes.tensor,), scale.tensor, zero=128)
