"""Moving the bits of codes from ggml's order within a block to that of a layout's plane.

ggml interleaves far-apart columns in one byte so that SIMD can take them apart; a plane has
neighbours in one byte, the first column lowest. Each function does that for many blocks at once on
whole words, so that numpy runs it at vector speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def nibbles(packed: Bytes, out: NDArray[Any]) -> None:
    """Planes of width 4 from half-blocks: n bytes hold n columns low, the next n columns high.

    packed:  byte i = column i | column n + i << 4              (blocks, n), contiguous
    out:     byte i = column 2i | column 2i + 1 << 4            (blocks, 2) items of n / 2 bytes
    """
    pairs = packed.reshape(-1).view("<u2")
    low = np.bitwise_and(pairs, 0x0F0F)
    shifted = low >> 4
    plane = np.empty(len(pairs), np.uint8)
    np.bitwise_or(low, shifted, out=plane, casting="unsafe")
    out[:, 0] = plane.view(out.dtype)
    np.right_shift(pairs, 4, out=low)
    np.bitwise_and(low, 0x0F0F, out=low)
    np.right_shift(low, 4, out=shifted)
    np.bitwise_or(low, shifted, out=plane, casting="unsafe")
    out[:, 1] = plane.view(out.dtype)


def crumbs(packed: Bytes) -> Bytes:
    """Planes of width 2 from quarter-blocks: 32 bytes hold four times 32 columns.

        packed:  byte i of 32 = columns i, 32 + i, 64 + i, 96 + i from the lowest bits up
        result:  byte i of 32 = columns 4i .. 4i + 3

    (blocks, 32 k), contiguous, to the same shape. Four bytes are a 4 by 4 matrix of crumbs:
    transpose it, then gather the bytes of one quarter.
    """
    words = packed.reshape(-1).view("<u4").copy()
    _swap(words, 6, 0x00CC00CC)
    _swap(words, 12, 0x0000F0F0)
    return _gather(words, np.dtype("<u8")).reshape(packed.shape)


def single_bits(packed: Bytes) -> Bytes:
    """Planes of width 1 from eighths: bit g of byte i is that of column 32 g + i.

    (blocks, 32), contiguous, to the same shape with byte i = columns 8i .. 8i + 7. Eight bytes
    are an 8 by 8 matrix of bits: transpose it, then gather the bytes of one eighth.
    """
    words = packed.reshape(-1).view("<u8").copy()
    _swap(words, 7, 0x00AA00AA00AA00AA)
    _swap(words, 14, 0x0000CCCC0000CCCC)
    _swap(words, 28, 0x00000000F0F0F0F0)
    return _gather(words, np.dtype("<u4")).reshape(packed.shape)


def _swap(words: NDArray[Any], distance: int, mask: int) -> None:
    """Exchange the bits under `mask` with those `distance` above them, in place."""
    shift = words.dtype.type(distance)
    moved = words >> shift
    moved ^= words
    moved &= words.dtype.type(mask)
    words ^= moved
    moved <<= shift
    words ^= moved


def _gather(words: NDArray[Any], part: np.dtype[Any]) -> Bytes:
    """All first bytes of as many words as `part` has bytes, then their second bytes, and so on."""
    parts = words.itemsize
    out = np.empty((len(words) // part.itemsize, parts), part)
    for index in range(parts):
        # shift and narrow: three times as fast as copying a transposed view
        byte = (words >> words.dtype.type(8 * index)).astype(np.uint8)
        out[:, index] = byte.view(part)
    return out.view(np.uint8)
