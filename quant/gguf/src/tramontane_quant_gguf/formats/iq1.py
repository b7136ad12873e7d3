"""IQ1_S and IQ1_M: vectors of 8 numbers -1, 0, 1 from a grid, all a little more or less.

    IQ1_S  | d f16 | low 32 bytes of indices | 8 x u16: 4 x 3 high bits, scale 3 bits, sign |
           256 weights, weight = d (2 scale + 1) (number +- 1/8), scale and sign of 32 weights
    IQ1_M  | low 32 bytes of indices | 16 bytes: 2 x (3 high bits, sign) | scales 8 bytes |
           the same, with a sign for each vector and a scale of 3 bits for 16 weights

The high 4 bits of IQ1_M's four u16 of scales are d, a float16; each has four scales below. Its
codes are number + 1 in two bits, and the sign above. Source: ggml's block_iq1_s, block_iq1_m.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Affine, Codebook

from .blocks import Out, Raw, chunks, field, split
from .grids import grid
from .iq2 import Vectors

IQ1_S = np.dtype([("d", "<f2"), ("low", "V32"), ("high", "V16")])
IQ1_M = np.dtype([("low", "V32"), ("high", "V16"), ("scales", "V8")])


def iq1_s(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of IQ1_S blocks as two-level Affine of 2 bits with a minimum, an
    eighth of d being the scale of both: 8 (2 scale + 1) and +-(2 scale + 1)."""
    count, vectors = rows * columns // 256, grid("IQ1_S")
    codes, scale = Out(torch.uint8, rows, columns // 4), Out(torch.uint8, rows, columns // 32)
    minimum, d = Out(torch.int8, rows, columns // 32), Out(torch.float32, rows, columns // 256)
    for place, blocks in chunks(raw, IQ1_S):
        words = field(blocks, "high").view("<u2")
        upper = split(words, (0, 3, 6, 9), 7)
        index = field(blocks, "low") | upper.reshape(-1, 32) << 8
        codes.blocks(count)[place] = vectors[index].view(np.uint8)
        odd = (words >> 12 & 7).astype(np.int8) * 2 + 1
        scale.blocks(count)[place] = odd * 8
        minimum.blocks(count)[place] = odd - 2 * odd * (words >> 15).astype(np.int8)
        with np.errstate(invalid="ignore"):  # what is no number stays so, and is refused
            d.blocks(count)[place, 0] = blocks["d"].astype(np.float32) / 8
    return Affine(
        2, 32, (codes.tensor,), scale.tensor, 1, minimum.tensor, d.tensor, d.tensor.clone()
    )  # fmt: skip


def iq1_m(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ1_M blocks as two-level Codebook of 3 bits."""
    parts, vectors = Vectors(rows, columns, 16), grid("IQ1_S")
    for place, blocks in chunks(raw, IQ1_M):
        words = field(blocks, "scales").view("<u2")
        d = (words >> 12 << np.array([0, 4, 8, 12], np.uint16)).sum(-1, dtype=np.uint16)
        scales = split(words, (0, 3, 6, 9), 7)
        halves = split(field(blocks, "high"), (0, 4), 15).reshape(len(blocks), -1)
        index = field(blocks, "low") | (halves & 7).astype(np.uint16) << 8
        signs = np.negative(halves >> 3)  # all eight bits of a byte
        odd = (scales.reshape(len(blocks), -1) * 2 + 1).astype(np.uint8)
        parts.put(place, d.view(np.float16), vectors[index], signs, odd)
    return parts.layout((-7 / 8, 1 / 8, 9 / 8, 0.0, -9 / 8, -1 / 8, 7 / 8, 0.0))
