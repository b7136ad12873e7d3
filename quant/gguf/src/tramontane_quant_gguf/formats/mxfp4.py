"""MXFP4: 32 floats of 4 bits and a power of two.

    | exponent u8 | codes 16 bytes |     weight = 2^(exponent - 127) * number

Byte i of the codes has column i in its low half and column 16 + i in its high half. A number has a
sign, two bits of exponent and one of fraction. Exponent 255 is not a number, as the standard says.
Source: ggml's block_mxfp4; OCP Microscaling Formats 1.0.
"""

from __future__ import annotations

import numpy as np
import torch
from tramontane.layouts import Codebook

from .bits import nibbles
from .blocks import Out, Raw, chunks, field

MXFP4 = np.dtype([("exponent", "u1"), ("codes", "V16")])
NUMBERS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def mxfp4(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of MXFP4 blocks as Codebook."""
    count = rows * columns // 32
    codes, scale = Out(torch.uint8, rows, columns // 2), Out(torch.uint8, rows, columns // 32)
    for place, blocks in chunks(raw, MXFP4):
        scale.blocks(count)[place, 0] = blocks["exponent"]
        nibbles(field(blocks, "codes"), codes.items(count, 8)[place])
    return Codebook(4, 32, (codes.tensor,), number_table(), scale.tensor.view(torch.float8_e8m0fnu))


def number_table() -> torch.Tensor:
    """The 16 numbers of a float of 4 bits, E2M1. ggml's table has 0 where the standard has -0,
    which no product tells from it."""
    return torch.tensor([*NUMBERS, 0.0, *(-number for number in NUMBERS[1:])])
