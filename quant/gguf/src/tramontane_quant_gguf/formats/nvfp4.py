"""NVFP4: 64 floats of 4 bits with a float of 8 bits for each 16.

    | scales 4 bytes | codes 32 bytes |     weight = scale * number

A scale is a float8 e4m3 without a sign; bit 7 is ignored, and 127 is 0. Of each 8 bytes of codes,
byte i has column i in its low half and column 8 + i in its high half. Source: ggml's block_nvfp4.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Codebook

from .blocks import Out, Raw, chunks, field
from .mxfp4 import number_table

NVFP4 = np.dtype([("scales", "V4"), ("codes", "V32")])


def nvfp4(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of NVFP4 blocks as Codebook with scales in float8 e4m3."""
    count = rows * columns // 64
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.uint8, rows, columns // 16)
    for place, blocks in chunks(raw, NVFP4):
        scales = field(blocks, "scales")
        # 255 is neither: it stays, and is refused as no number
        unsigned = np.where(scales == 255, scales, scales & 127)
        scale.blocks(count)[place] = np.where(unsigned == 127, 0, unsigned)
        eights = field(blocks, "codes").reshape(-1, 4, 8)
        halves = np.concatenate((eights & 15, eights >> 4), -1)
        codes.blocks(count)[place] = (halves[..., ::2] | halves[..., 1::2] << 4).reshape(-1, 32)
    return Codebook(4, 16, (codes.tensor,), number_table(), scale.tensor.view(torch.float8_e4m3fn))
