"""TQ1_0 and TQ2_0: numbers -1, 0, 1 with a scale for 256.

    TQ1_0  | 48 bytes of five digits | 4 bytes of four digits | d f16 |
    TQ2_0  | codes 64 bytes | d f16 |
    weight = d * (code - 1)

TQ2_0's codes lie as Q2_K's; 3 is a code like the others. TQ1_0 has digits of base 3 as a fraction
of 256: the first is 3 * byte / 256, the next one that of the rest. The first 32 bytes have the
first digits of columns 0 to 31, then the second digits of columns 32 to 63, and so on; the next 16
bytes those of columns 160 to 239, and the last 4 bytes those of 240 to 255. Source: ggml's
block_tq1_0, block_tq2_0.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine

from .bits import crumbs
from .blocks import Out, Raw, chunks, field

TQ1_0 = np.dtype([("codes", "V52"), ("d", "<f2")])
TQ2_0 = np.dtype([("codes", "V64"), ("d", "<f2")])
DIGITS = ((0, 32, 5), (32, 48, 5), (48, 52, 4))
"""First byte, last byte, digits in each."""


def tq1_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of TQ1_0 blocks as Affine of 2 bits with zero 1."""
    count = rows * columns // 256
    codes, scale = Out(torch.uint8, rows, columns // 4), Out(torch.float16, rows, columns // 256)
    for place, blocks in chunks(raw, TQ1_0):
        scale.blocks(count)[place, 0] = blocks["d"]
        codes.blocks(count)[place] = _fours(_digits(field(blocks, "codes")))
    return Affine(2, 256, (codes.tensor,), scale.tensor, zero=1)


def tq2_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of TQ2_0 blocks as Affine of 2 bits with zero 1."""
    count = rows * columns // 256
    codes, scale = Out(torch.uint8, rows, columns // 4), Out(torch.float16, rows, columns // 256)
    for place, blocks in chunks(raw, TQ2_0):
        scale.blocks(count)[place, 0] = blocks["d"]
        codes.blocks(count)[place] = crumbs(field(blocks, "codes"))
    return Affine(2, 256, (codes.tensor,), scale.tensor, zero=1)


def _digits(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(blocks, 52) bytes as (blocks, 256) digits."""
    parts = []
    for first, last, count in DIGITS:
        rest = packed[:, first:last]
        for _ in range(count):
            parts.append((rest.astype(np.uint16) * 3 >> 8).astype(np.uint8))
            rest = rest * np.uint8(3)
    return np.concatenate(parts, -1)


def _fours(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes below 4, (blocks, n), as bytes (blocks, n / 4), the first one lowest."""
    words = codes.view("<u4")
    pairs = words | words >> 6
    fours: NDArray[np.uint8] = ((pairs | pairs >> 12) & 0xFF).astype(np.uint8)
    return fours
