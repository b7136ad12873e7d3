"""Q3_K: 256 weights, 16 groups of 16, each with a 6-bit scale.

    | high 32 bytes | codes 64 bytes | scales 12 bytes | d f16 |
    weight = d * (scale - 32) * (code - 4)

The low two bits of the codes lie as in Q2_K; bit g of byte i of `high` is the third of column
32 g + i. The low four bits of scale g < 8 are the low half of byte g, of scale 8 + g the high
half; the upper two of scale g are bits 2 (g / 4) of byte 8 + g mod 4. Source: ggml's block_q3_K.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine

from .bits import crumbs, single_bits
from .blocks import Out, Raw, chunks, field

Q3_K = np.dtype([("high", "V32"), ("codes", "V64"), ("scales", "V12"), ("d", "<f2")])


def q3_k(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q3_K blocks as two-level Affine with zero 4."""
    count = rows * columns // 256
    codes, high = Out(torch.uint8, rows, columns // 4), Out(torch.uint8, rows, columns // 8)
    scale, d = Out(torch.int8, rows, columns // 16), Out(torch.float16, rows, columns // 256)
    for place, blocks in chunks(raw, Q3_K):
        d.blocks(count)[place, 0] = blocks["d"]
        scale.blocks(count)[place] = scales(field(blocks, "scales"))
        codes.blocks(count)[place] = crumbs(field(blocks, "codes"))
        high.blocks(count)[place] = single_bits(field(blocks, "high"))
    return Affine(
        3, 16, (codes.tensor, high.tensor), scale.tensor, zero=4, super_scale=d.tensor
    )  # fmt: skip


def scales(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """(blocks, 12) bytes, contiguous, as (blocks, 16) scales from -32 to 31."""
    words = packed.view("<u4")  # four bytes at a time
    out = np.empty((len(packed), 4), "<u4")
    for quarter in range(4):
        low = words[:, quarter % 2] >> quarter // 2 * 4 & 0x0F0F0F0F
        upper = words[:, 2] >> 2 * quarter & 0x03030303
        np.bitwise_or(low, upper << 4, out=out[:, quarter])
    signed = out.view(np.int8)
    signed -= 32
    return signed
