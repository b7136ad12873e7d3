"""Q2_K: 256 weights, 16 groups of 16, each with a 4-bit scale and a 4-bit minimum.

    | scales 16 bytes | codes 64 bytes | d f16 | dmin f16 |
    weight = d * scale * code - dmin * minimum

Byte g of the scales has group g's scale in its low half, its minimum in its high half.
Byte i of each 32 codes has columns i, 32 + i, 64 + i, 96 + i. Source: ggml's block_q2_K.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Affine

from .bits import crumbs
from .blocks import Out, Raw, chunks, field

Q2_K = np.dtype([("scales", "V16"), ("codes", "V64"), ("d", "<f2"), ("dmin", "<f2")])


def q2_k(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q2_K blocks as two-level Affine with a minimum."""
    count = rows * columns // 256
    codes, scale = Out(torch.uint8, rows, columns // 4), Out(torch.uint8, rows, columns // 16)
    minimum, d = Out(torch.uint8, rows, columns // 16), Out(torch.float16, rows, columns // 256)
    dmin = Out(torch.float16, rows, columns // 256)
    for place, blocks in chunks(raw, Q2_K):
        d.blocks(count)[place, 0] = blocks["d"]
        np.negative(blocks["dmin"], out=dmin.blocks(count)[place, 0])
        both = field(blocks, "scales")
        np.bitwise_and(both, 15, out=scale.blocks(count)[place])
        np.right_shift(both, 4, out=minimum.blocks(count)[place])
        codes.blocks(count)[place] = crumbs(field(blocks, "codes"))
    return Affine(
        2, 16, (codes.tensor,), scale.tensor,
        minimum=minimum.tensor, super_scale=d.tensor, super_minimum=dmin.tensor,
    )  # fmt: skip
