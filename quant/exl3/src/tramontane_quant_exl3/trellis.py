"""Tiles of a trellis to numbers.

A tile is 16 x 16 numbers of `bits` bits each, 16 * bits words of 16 bits. Words are swapped in
pairs and read as one stream from the highest bit down. The stream is a ring: the state of symbol i
is the 16 bits that end with it, and for the first symbols reach around to the end. A state is a
number by one of three codebooks, computed with wrapping 32-bit products:

    3inst   x = 89226354 state + 64248484
    mcg     x = 0xCBAC1FED state            both: (x & 0x8FFF8FFF) ^ 0x3B603B60 is two float16,
                                            whose sum it is
    mul1    x = 0x83DCD12D state            the sum of its four bytes + 0x6400, as float16 bits,
                                            times float16 0x1EEE plus float16 0xC931

Symbol 8 t + j lies at row r(t, j) and column c(t, j) of its tile, where rows are input features:

    r = 2 (t mod 4) + (0, 1, 8, 9)[j mod 4]        c = floor(t / 4) + 8 floor(j / 4)
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

MULTIPLIERS = {"3inst": 89226354, "mcg": 0xCBAC1FED, "mul1": 0x83DCD12D}
TILE = 16
SYMBOLS = TILE * TILE


def decoded(trellis: Tensor, codebook: str) -> Tensor:
    """trellis: (tiles down, tiles across, 16 * bits) int16 -> (rows, columns) float32."""
    down, across, count = trellis.shape
    words = trellis.to(torch.int32) & 0xFFFF
    words = words.view(down, across, -1, 2).flip(-1).flatten(2)
    first, offset = _windows(count // TILE)
    high, low = words[..., first], words[..., (first + 1) % count]
    states = ((high << offset) | (low >> (16 - offset))) & 0xFFFF
    numbers = numbers_of(codebook)[states.long()]
    tiles = torch.empty_like(numbers)
    tiles[..., places()] = numbers
    return tiles.view(down, across, TILE, TILE).transpose(1, 2).reshape(down * TILE, across * TILE)


@cache
def _windows(bits: int) -> tuple[Tensor, Tensor]:
    """The word in which each symbol's 16 bits begin, and at which bit from its top."""
    begin = (torch.arange(1, SYMBOLS + 1) * bits - 16) % (SYMBOLS * bits)
    return begin // 16, (begin % 16).to(torch.int32)


@cache
def places() -> Tensor:
    """Where each symbol lies in its tile, row by row: (256)."""
    t, j = torch.arange(32)[:, None], torch.arange(8)
    row = 2 * (t % 4) + torch.tensor([0, 1, 8, 9])[j % 4]
    return (row * TILE + t // 4 + 8 * (j // 4)).flatten()


@cache
def numbers_of(codebook: str) -> Tensor:
    """The number of each of 65,536 states, float32."""
    state = torch.arange(1 << 16, dtype=torch.int64)
    x = state * MULTIPLIERS[codebook]
    if codebook == "3inst":
        x += 64248484
    x &= 0xFFFFFFFF
    if codebook == "mul1":
        total = (x & 0xFF) + (x >> 8 & 0xFF) + (x >> 16 & 0xFF) + (x >> 24)
        scale, offset = _halves(torch.tensor([0x1EEE, 0xC931]))
        found: Tensor = _halves(total + 0x6400) * scale + offset
        return found
    x = (x & 0x8FFF8FFF) ^ 0x3B603B60
    return _halves(x & 0xFFFF) + _halves(x >> 16)


def _halves(bits: Tensor) -> Tensor:
    """float16 by their bits, as float32."""
    return bits.to(torch.uint16).view(torch.float16).float()
