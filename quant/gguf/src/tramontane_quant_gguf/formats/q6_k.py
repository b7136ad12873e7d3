"""Q6_K: 256 weights, 16 groups of 16, each with an 8-bit scale.

    | codes 128 bytes | high 64 bytes | scales 16 x int8 | d f16 |
    weight = d * scale * (code - 32)

Byte i of each 64 codes has column i low and column 64 + i high; `high` has the upper two bits of
the codes as Q2_K has its codes. Source: ggml's block_q6_K.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Affine

from .bits import crumbs, nibbles
from .blocks import Out, Raw, chunks, field

Q6_K = np.dtype([("codes", "V128"), ("high", "V64"), ("scales", "V16"), ("d", "<f2")])


def q6_k(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q6_K blocks as two-level Affine with zero 32."""
    count = rows * columns // 256
    codes, high = Out(torch.uint8, rows, columns // 2), Out(torch.uint8, rows, columns // 4)
    scale, d = Out(torch.int8, rows, columns // 16), Out(torch.float16, rows, columns // 256)
    for place, blocks in chunks(raw, Q6_K):
        d.blocks(count)[place, 0] = blocks["d"]
        scale.items(count, 16)[place, 0] = blocks["scales"]
        out = codes.items(count, 32)[place].reshape(-1, 2)
        nibbles(field(blocks, "codes").reshape(-1, 64), out)
        high.blocks(count)[place] = crumbs(field(blocks, "high"))
    return Affine(
        6, 16, (codes.tensor, high.tensor), scale.tensor, zero=32, super_scale=d.tensor
    )  # fmt: skip
