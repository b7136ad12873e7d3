"""Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 from floats, with ggml's bits.

    Q4_0, Q5_0  d = largest number / -8 or -16       code = floor(x / d + 8.5 or 16.5)
    Q4_1, Q5_1  d = (most - least) / 15 or 31        code = floor((x - least) / d + 0.5)
    Q8_0        d = largest magnitude / 127          code = x / d, rounded, halves away from 0

d is rounded to float16 after the codes are found. With importance the first four search as ggml's
quantize_row_q*_impl do; Q8_0 has nothing to gain. Blocks are those of `formats/`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .search import Floats, affine, inverse, nearest, signed_peak, symmetric

Bytes = NDArray[Any]


def q4_0(x: Floats, weights: Floats | None) -> Bytes:
    """(blocks, 32) -> (blocks, 18) bytes."""
    codes, d = _around_zero(x, 8, weights)
    return joined(d, halves(codes))


def q5_0(x: Floats, weights: Floats | None) -> Bytes:
    """(blocks, 32) -> (blocks, 22) bytes."""
    codes, d = _around_zero(x, 16, weights)
    return joined(d, fifth_bits(codes), halves(codes & 15))


def q4_1(x: Floats, weights: Floats | None) -> Bytes:
    """(blocks, 32) -> (blocks, 20) bytes."""
    codes, d, least = _above_minimum(x, 15, weights)
    return joined(d, least, halves(codes))


def q5_1(x: Floats, weights: Floats | None) -> Bytes:
    """(blocks, 32) -> (blocks, 24) bytes."""
    codes, d, least = _above_minimum(x, 31, weights)
    return joined(d, least, fifth_bits(codes), halves(codes & 15))


def q8_0(x: Floats, weights: Floats | None) -> Bytes:
    """(blocks, 32) -> (blocks, 34) bytes."""
    d = np.abs(x).max(-1, keepdims=True) / np.float32(127)
    scaled = x * inverse(d)
    codes = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    # a half that the sum rounded up is no half
    codes = np.where(np.abs(scaled - np.trunc(scaled)) < np.float32(0.5), np.trunc(scaled), codes)
    return joined(d.astype("<f2"), codes.astype(np.int8))


def _around_zero(x: Floats, half: int, weights: Floats | None) -> tuple[Bytes, NDArray[np.float16]]:
    if weights is not None:
        codes, d = symmetric(x, weights, half)
        return (codes + half).astype(np.uint8), d.astype("<f2")
    d = signed_peak(x) / np.float32(-half)
    codes = np.trunc(x * inverse(d) + np.float32(half + 0.5)).clip(0, 2 * half - 1)
    return codes.astype(np.uint8), d.astype("<f2")


def _above_minimum(
    x: Floats, most: int, weights: Floats | None
) -> tuple[Bytes, NDArray[np.float16], NDArray[np.float16]]:
    if weights is not None:
        d, below = affine(x, weights, most, (-0.9, 0.05, 36))
        near: Floats = np.clip(nearest((x + below) * inverse(d)), 0, most)
        return near.astype(np.uint8), d.astype("<f2"), (-below).astype("<f2")
    least = x.min(-1, keepdims=True)
    d = (x.max(-1, keepdims=True) - least) / np.float32(most)
    codes: Floats = np.trunc((x - least) * inverse(d) + np.float32(0.5)).clip(0, most)
    return codes.astype(np.uint8), d.astype("<f2"), least.astype("<f2")


def joined(*parts: NDArray[np.generic]) -> Bytes:
    """The fields of blocks, (blocks, n) each, as bytes next to each other."""
    return np.concatenate(
        [np.ascontiguousarray(part).view(np.uint8).reshape(len(part), -1) for part in parts], -1
    )


def halves(codes: Bytes) -> Bytes:
    """(blocks, n) codes below 16 -> (blocks, n / 2): the first half of them in the low halves."""
    middle = codes.shape[-1] // 2
    out: Bytes = codes[..., :middle] | codes[..., middle:] << 4
    return out


def fifth_bits(codes: Bytes) -> Bytes:
    """(blocks, 32) -> (blocks, 4): bit 4 of each."""
    bits: Bytes = np.packbits(codes >> 4 & 1, axis=-1, bitorder="little")
    return bits
