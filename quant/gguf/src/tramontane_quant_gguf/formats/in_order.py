"""Q1_0 and Q2_0: codes of one and two bits in the order of the columns, and a scale.

    Q1_0  | d f16 | codes 16 bytes |    128 weights, weight = d (2 code - 1)
    Q2_0  | d f16 | codes 16 bytes |    64 weights, weight = d (code - 1)

A byte has its first column lowest. There is no plane of one bit alone that stands for -1 and 1, so
Q1_0's codes become 0 and 2 of Q2_0's. Source: ggml's block_q1_0, block_q2_0.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine

from .blocks import Out, Raw, chunks, field

BLOCK = np.dtype([("d", "<f2"), ("codes", "V16")])


def q1_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q1_0 blocks as Affine of 2 bits with zero 1."""
    count = rows * columns // 128
    codes, scale = Out(torch.uint8, rows, columns // 4), Out(torch.float16, rows, columns // 128)
    for place, blocks in chunks(raw, BLOCK):
        scale.blocks(count)[place, 0] = blocks["d"]
        codes.blocks(count)[place] = _doubled()[field(blocks, "codes")].view(np.uint8)
    return Affine(2, 128, (codes.tensor,), scale.tensor, zero=1)


def q2_0(raw: Raw, rows: int, columns: int) -> Affine:
    """A matrix (rows, columns) of Q2_0 blocks as Affine of 2 bits with zero 1."""
    count = rows * columns // 64
    codes, scale = Out(torch.uint8, rows, columns // 4), Out(torch.float16, rows, columns // 64)
    for place, blocks in chunks(raw, BLOCK):
        scale.blocks(count)[place, 0] = blocks["d"]
        codes.blocks(count)[place] = field(blocks, "codes")
    return Affine(2, 64, (codes.tensor,), scale.tensor, zero=1)


@cache
def _doubled() -> NDArray[np.uint16]:
    """Eight bits, each as the upper one of two."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    doubled: NDArray[np.uint16] = (bits << (2 * np.arange(8) + 1)).sum(-1).astype("<u2")
    return doubled
