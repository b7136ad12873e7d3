"""IQ2_XXS, IQ2_XS and IQ2_S: vectors of 8 magnitudes from a grid, with signs.

    IQ2_XXS  | d f16 | 8 x (4 indices u8, u32: 4 x 7 bits of signs, 4 bits of scale) |
    IQ2_XS   | d f16 | 32 x u16: 9 bits of index, 7 of signs | scales 8 bytes |
    IQ2_S    | d f16 | low 32 bytes of indices | signs 32 bytes | high 8 bytes | scales 8 bytes |
    256 weights, weight = d (0.5 + scale) / 4 * +-{8, 25, 43}

IQ2_XXS has a scale for 32 weights, the others for 16, in 4 bits, the first of two in a byte's low
half. A vector's eighth sign makes their number even where there are 7 bits for them. A code is its
magnitude's number in two bits, and its sign above. Source: ggml's block_iq2_xxs, block_iq2_xs,
block_iq2_s.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Codebook

from .blocks import Out, Raw, chunks, field, split
from .grids import grid

IQ2_XXS = np.dtype([("d", "<f2"), ("words", "V64")])
IQ2_XS = np.dtype([("d", "<f2"), ("words", "V64"), ("scales", "V8")])
IQ2_S = np.dtype([("d", "<f2"), ("low", "V32"), ("signs", "V32"), ("high", "V8"), ("scales", "V8")])
MAGNITUDES = (8, 25, 43)


class Vectors:
    """The parts of a layout of 3-bit codes, filled block by block."""

    def __init__(self, rows: int, columns: int, group: int) -> None:
        self.group, self.count = group, rows * columns // 256
        self.low = Out(torch.uint8, rows, columns // 4)
        self.high = Out(torch.uint8, rows, columns // 8)
        self.scale = Out(torch.uint8, rows, columns // group)
        self.d = Out(torch.float16, rows, columns // 256)

    def put(
        self, place: slice, d: NDArray[np.float16], vectors: NDArray[np.uint16],
        signs: NDArray[np.uint8], scales: NDArray[np.uint8],
    ) -> None:  # fmt: skip
        """d: (blocks). vectors: (blocks, 32) of 8 magnitudes, signs: (blocks, 32) bytes. scales:
        (blocks, 256 / group), odd: twice the half-integral ones."""
        self.d.blocks(self.count)[place, 0] = d
        self.low.blocks(self.count)[place] = vectors.view(np.uint8)
        self.high.blocks(self.count)[place] = signs
        self.scale.blocks(self.count)[place] = scales

    def layout(self, table: tuple[float, ...]) -> Codebook:
        """table: of 8 numbers, the second 4 those with a sign."""
        planes = (self.low.tensor, self.high.tensor)
        numbers = torch.tensor(table, dtype=torch.float32)
        return Codebook(3, self.group, planes, numbers, self.scale.tensor, self.d.tensor)


def iq2_xxs(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ2_XXS blocks as two-level Codebook of 3 bits."""
    parts, vectors = Vectors(rows, columns, 32), grid("IQ2_XXS")
    for place, blocks in chunks(raw, IQ2_XXS):
        words = field(blocks, "words").view("<u4").reshape(-1, 8, 2)
        index = np.ascontiguousarray(words[..., 0]).view(np.uint8)
        others = words[..., 1]
        parts.put(place, blocks["d"], vectors[index], even_signs(others), odd_scales(others))
    return parts.layout(numbers())


def iq2_xs(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ2_XS blocks as two-level Codebook of 3 bits."""
    parts, vectors = Vectors(rows, columns, 16), grid("IQ2_XS")
    for place, blocks in chunks(raw, IQ2_XS):
        words = field(blocks, "words").view("<u2")
        scales = odd_halves(field(blocks, "scales"))
        parts.put(place, blocks["d"], vectors[words & 511], parity()[words >> 9], scales)
    return parts.layout(numbers())


def iq2_s(raw: Raw, rows: int, columns: int) -> Codebook:
    """A matrix (rows, columns) of IQ2_S blocks as two-level Codebook of 3 bits."""
    parts, vectors = Vectors(rows, columns, 16), grid("IQ2_S")
    for place, blocks in chunks(raw, IQ2_S):
        upper = split(field(blocks, "high"), (0, 2, 4, 6), 3)
        index = field(blocks, "low") | upper.reshape(-1, 32).astype(np.uint16) << 8
        scales = odd_halves(field(blocks, "scales"))
        parts.put(place, blocks["d"], vectors[index], field(blocks, "signs"), scales)
    return parts.layout(numbers())


def numbers() -> tuple[float, ...]:
    """The table: a scale is twice what it was, and d has its quarter here, exactly."""
    sized = [magnitude / 8 for magnitude in MAGNITUDES]
    return (*sized, 0.0, *(-size for size in sized), 0.0)


@cache
def parity() -> NDArray[np.uint8]:
    """Signs of 8 numbers, a bit each, by their first seven."""
    first = np.arange(128, dtype=np.uint8)
    odd = np.unpackbits(first[:, None], axis=-1).sum(-1, dtype=np.uint8) & 1
    signs: NDArray[np.uint8] = first | odd << 7
    return signs


def even_signs(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """(blocks, 8) words with 4 x 7 bits of signs -> (blocks, 32) bytes."""
    seven = split(words, (0, 7, 14, 21), 127)
    signs: NDArray[np.uint8] = parity()[seven].reshape(len(words), -1)
    return signs


def odd_scales(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Twice 0.5 + the upper four bits of each word."""
    return (words >> 28).astype(np.uint8) * np.uint8(2) + np.uint8(1)


def odd_halves(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Twice 0.5 + each half of the bytes (blocks, n) -> (blocks, 2 n), a byte's low half first."""
    halves = np.stack((packed & 15, packed >> 4), -1)
    return halves.reshape(len(packed), -1) * np.uint8(2) + np.uint8(1)
