"""IQ3_XXS and IQ3_S: vectors of 4 magnitudes from a grid, with signs.

    IQ3_XXS  | d f16 | 64 indices u8 | 8 x u32: 4 x 7 bits of signs, 4 bits of scale |
             weight = d (0.5 + scale) / 2 * +-{4, 12, 20, 28, 36, 44, 52, 62}
    IQ3_S    | d f16 | low 64 bytes of indices | high 8 bytes | signs 32 bytes | scales 4 bytes |
             weight = d (1 + 2 scale) * +-{1, 3, 5, 7, 9, 11, 13, 15}

256 weights with a scale for each 32. A code is its magnitude's number in three bits, and its sign
above. Source: ggml's block_iq3_xxs, block_iq3_s.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Codebook

from .blocks import Out, Raw, chunks, field
from .grids import grid
from .iq2 import even_signs, odd_halves, odd_scales

IQ3_XXS = np.dtype([("d", "<f2"), ("index", "V64"), ("words", "V32")])
IQ3_S = np.dtype([("d", "<f2"), ("low", "V64"), ("high", "V8"), ("signs", "V32"), ("scales", "V4")])
XXS_NUMBERS = tuple(magnitude / 4 for magnitude in (4, 12, 20, 28, 36, 44, 52, 62))
S_NUMBERS = (1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0)


def iq3_xxs(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ3_XXS blocks as two-level Codebook of 4 bits."""
    parts, vectors = _Parts(rows, columns), grid("IQ3_XXS")
    for place, blocks in chunks(raw, IQ3_XXS):
        words = field(blocks, "words").view("<u4")
        index = field(blocks, "index")
        parts.put(place, blocks["d"], vectors[index], even_signs(words), odd_scales(words))
    return parts.layout(XXS_NUMBERS)


def iq3_s(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ3_S blocks as two-level Codebook of 4 bits."""
    parts, vectors = _Parts(rows, columns), grid("IQ3_S")
    for place, blocks in chunks(raw, IQ3_S):
        upper = np.unpackbits(field(blocks, "high"), axis=-1, bitorder="little")
        index = field(blocks, "low") | upper.astype(np.uint16) << 8
        scales = odd_halves(field(blocks, "scales"))
        parts.put(place, blocks["d"], vectors[index], field(blocks, "signs"), scales)
    return parts.layout(S_NUMBERS)


class _Parts:
    """The parts of a layout of 4-bit codes, filled block by block."""

    def __init__(self, rows: int, columns: int) -> None:
        self.count = rows * columns // 256
        self.codes = Out(torch.uint8, rows, columns // 2)
        self.scale = Out(torch.uint8, rows, columns // 32)
        self.d = Out(torch.float16, rows, columns // 256)

    def put(
        self, place: slice, d: NDArray[np.float16], vectors: NDArray[np.uint16],
        signs: NDArray[np.uint8], scales: NDArray[np.uint8],
    ) -> None:  # fmt: skip
        """d: (blocks). vectors: (blocks, 64) of 4 magnitudes, signs: (blocks, 32) bytes. scales:
        (blocks, 8), odd: twice the half-integral ones."""
        self.d.blocks(self.count)[place, 0] = d
        fours = np.stack((signs & 15, signs >> 4), -1).reshape(len(signs), -1)
        self.codes.blocks(self.count)[place] = (vectors | _spread()[fours]).view(np.uint8)
        self.scale.blocks(self.count)[place] = scales

    def layout(self, sizes: tuple[float, ...]) -> Codebook:
        table = torch.tensor([*sizes, *(-size for size in sizes)], dtype=torch.float32)
        return Codebook(4, 32, (self.codes.tensor,), table, self.scale.tensor, self.d.tensor)


@cache
def _spread() -> NDArray[np.uint16]:
    """Four bits as the highest of four halves of bytes."""
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    spread: NDArray[np.uint16] = (bits << (4 * np.arange(4) + 3)).sum(-1).astype(np.uint16)
    return spread
