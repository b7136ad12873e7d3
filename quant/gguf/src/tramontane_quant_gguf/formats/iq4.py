"""IQ4_NL and IQ4_XS: 4-bit codes that name 16 numbers, denser around zero.

    IQ4_NL  | d f16 | codes 16 bytes |        32 weights, weight = d * number
    IQ4_XS  | d f16 | high u16 | low 4 bytes | codes 128 bytes |
                                256 weights, weight = d * (scale - 32) * number

Byte i of each 16 has column i in its low half and column 16 + i in its high half. The low four bits
of IQ4_XS's scale g are the halves of `low` in order, the upper two are bits 2g and 2g + 1 of
`high`. Source: ggml's block_iq4_nl, block_iq4_xs, kvalues_iq4nl.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Codebook

from .bits import nibbles
from .blocks import Out, Raw, chunks, field

IQ4_NL = np.dtype([("d", "<f2"), ("codes", "V16")])
IQ4_XS = np.dtype([("d", "<f2"), ("high", "<u2"), ("low", "V4"), ("codes", "V128")])
NUMBERS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def iq4_nl(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ4_NL blocks as Codebook."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.float16, rows, columns // 32)
    for place, blocks in chunks(raw, IQ4_NL):
        scale.blocks(count)[place, 0] = blocks["d"]
        nibbles(field(blocks, "codes"), codes.items(count, 8)[place])
    return Codebook(4, 32, (codes.tensor,), _table(), scale.tensor)


def iq4_xs(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ4_XS blocks as two-level Codebook."""
    count = rows * columns // 256
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.int8, rows, columns // 32)
    d = Out(torch.float16, rows, columns // 256)
    for place, blocks in chunks(raw, IQ4_XS):
        d.blocks(count)[place, 0] = blocks["d"]
        low = field(blocks, "low")
        high = np.ascontiguousarray(blocks["high"])
        for group in range(8):
            lower = low[:, group // 2] >> 4 * (group % 2) & 15
            upper = (high >> 2 * group & 3).astype(np.uint8) << 4
            scale.blocks(count)[place, group] = (lower | upper).view(np.int8) - np.int8(32)
        halves = field(blocks, "codes").reshape(-1, 16)
        nibbles(halves, codes.items(count, 8)[place].reshape(-1, 2))
    return Codebook(4, 32, (codes.tensor,), _table(), scale.tensor, d.tensor)


def _table() -> torch.Tensor:
    return torch.tensor(NUMBERS, dtype=torch.float32)
