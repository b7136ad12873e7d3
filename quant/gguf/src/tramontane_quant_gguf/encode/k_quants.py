"""Q2_K to Q6_K from floats: ggml's searches for scales, with and without importance.

x: (blocks, 256). importance: the same shape, mean squares of what each number is multiplied with,
or None. Blocks are those of `formats/`. Source: ggml-quants.c, quantize_row_q*_K_ref and _impl.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .search import Floats, affine, inverse, nearest, one_by_one, positive, signed_peak, symmetric
from .simple import Bytes, joined


def q2_k(x: Floats, importance: Floats | None) -> Bytes:
    """-> (blocks, 84) bytes."""
    groups = x.reshape(-1, 16)
    if importance is None:
        scale, least = affine(groups, np.abs(groups), 3, (-0.5, 0.1, 15), absolute=True)
        scales, d = _to_most(scale.reshape(-1, 16), 15)
        minima, dmin = _to_most(least.reshape(-1, 16), 15)
    else:
        weights = _weights(x, importance, 1.0).reshape(-1, 16)
        scale, least = affine(groups, weights, 3, (-0.9, 0.05, 36))
        (scales, d), (minima, dmin) = _both_levels(scale, least, weights, 16, 15)
    codes = _codes(groups, d * scales, dmin * minima, 3)
    both = scales.astype(np.uint8) | minima.astype(np.uint8) << 4
    return joined(both, crumbs(codes.reshape(-1, 256)), d.astype("<f2"), dmin.astype("<f2"))


def q3_k(x: Floats, importance: Floats | None) -> Bytes:
    """-> (blocks, 110) bytes."""
    groups = x.reshape(-1, 16)
    if importance is None:
        scale = one_by_one(groups, groups * groups, 4)
        scales, d = _signed(scale.reshape(-1, 16), 32)
    else:
        weights = _weights(x, importance, 2.0).reshape(-1, 16)
        _, scale = symmetric(groups, weights, 4)
        scales, d = _signed_search(scale, weights, 32)
    codes = _signed_codes(groups, d * scales, 4).reshape(-1, 256)
    stored = (scales + 32).astype(np.uint8)
    low = stored[:, :8] & 15 | (stored[:, 8:] & 15) << 4
    quarters = (stored >> 4).reshape(-1, 4, 4)
    high = quarters[:, 0] | quarters[:, 1] << 2 | quarters[:, 2] << 4 | quarters[:, 3] << 6
    mask = _bit_planes(codes >> 2)
    return joined(mask, crumbs(codes & 3), low, high, d.astype("<f2"))


def q4_k(x: Floats, importance: Floats | None) -> Bytes:
    """-> (blocks, 144) bytes."""
    codes, fields = _with_minima(x, importance, 15, (-1.0, 0.1, 20))
    return joined(*fields, pairs(codes, 32))


def q5_k(x: Floats, importance: Floats | None) -> Bytes:
    """-> (blocks, 176) bytes."""
    codes, fields = _with_minima(x, importance, 31, (-0.5, 0.1, 15))
    return joined(*fields, _bit_planes(codes >> 4), pairs(codes & 15, 32))


def q6_k(x: Floats, importance: Floats | None) -> Bytes:
    """-> (blocks, 210) bytes."""
    groups = x.reshape(-1, 16)
    weights = groups * groups if importance is None else importance.reshape(-1, 16)
    codes, scale = symmetric(groups, weights, 32)
    wide = scale.reshape(-1, 16)
    peak = signed_peak(wide)
    there = np.abs(peak) >= np.float32(1e-15)
    step = np.where(there, np.float32(-128) * inverse(peak), np.float32(0))
    d = _half(inverse(step))
    scales = np.minimum(nearest(step * wide), 127)
    codes = np.where(
        (d * scales).reshape(-1, 1) != 0, _signed_codes(groups, d * scales, 32), codes + 32
    )
    stored = np.where(there, codes.reshape(-1, 256), 0).astype(np.uint8)
    return joined(
        pairs(stored & 15, 64), crumbs(stored >> 4), scales.astype(np.int8), d.astype("<f2")
    )


def _with_minima(
    x: Floats, importance: Floats | None, most: int, steps: tuple[float, float, int]
) -> tuple[Bytes, tuple[NDArray[np.generic], ...]]:
    """Codes (blocks, 256) of 8 groups with 6-bit scales and minima, and the fields before them."""
    groups = x.reshape(-1, 32)
    if importance is None:
        mean = np.sqrt((groups * groups).sum(-1, keepdims=True, dtype=np.float32) / np.float32(32))
        scale, least = affine(groups, mean + np.abs(groups), most, steps)
        scales, d = _to_most(scale.reshape(-1, 8), 63)
        minima, dmin = _to_most(least.reshape(-1, 8), 63)
    else:
        weights = _weights(x, importance, 2.0).reshape(-1, 32)
        scale, least = affine(groups, weights, most, (-0.9, 0.05, 36))
        (scales, d), (minima, dmin) = _both_levels(scale, least, weights, 8, 63)
    codes = _codes(groups, d * scales, dmin * minima, most).reshape(-1, 256)
    s, m = scales.astype(np.uint8), minima.astype(np.uint8)
    packed = np.concatenate(
        (
            s[:, :4] | s[:, 4:] >> 4 << 6,
            m[:, :4] | m[:, 4:] >> 4 << 6,
            s[:, 4:] & 15 | (m[:, 4:] & 15) << 4,
        ),
        -1,
    )
    return codes, (d.astype("<f2"), dmin.astype("<f2"), packed)


def _weights(x: Floats, importance: Floats, factor: float) -> Floats:
    """How much an error counts, (blocks, 256). factor: of the block's mean square."""
    mean = (x * x).sum(-1, keepdims=True, dtype=np.float32) * np.float32(factor / 256)
    out: Floats = importance * np.sqrt(mean + x * x)
    return out


def _half(value: Floats) -> Floats:
    """Rounded to float16."""
    return value.astype("<f2").astype(np.float32)


def _to_most(numbers: Floats, most: int) -> tuple[Floats, Floats]:
    """Numbers of the groups of a block, (blocks, n), as codes up to `most`, and the number that
    the codes are multiplied with, (blocks, 1), rounded to float16."""
    peak = np.maximum(numbers.max(-1, keepdims=True), 0)
    codes = np.clip(nearest(np.float32(most) * inverse(peak) * numbers), 0, most)
    return codes, _half(peak / np.float32(most))


def _both_levels(
    scale: Floats, least: Floats, weights: Floats, count: int, most: int
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The same by a search, for scales and minima: groups count as their numbers do."""
    each = weights.sum(-1, dtype=np.float32).reshape(-1, count)
    found = [positive(numbers.reshape(-1, count), each, most) for numbers in (scale, least)]
    (scales, d), (minima, dmin) = found
    return (scales, _half(d)), (minima, _half(dmin))


def _signed(numbers: Floats, half: int) -> tuple[Floats, Floats]:
    """The same for numbers of both signs: codes from -half to half - 1."""
    step = np.float32(-half) * inverse(signed_peak(numbers))
    return np.clip(nearest(step * numbers), -half, half - 1), _half(inverse(step))


def _signed_search(scale: Floats, weights: Floats, half: int) -> tuple[Floats, Floats]:
    """The same by a search."""
    each = weights.sum(-1, dtype=np.float32).reshape(-1, 16)
    codes, d = symmetric(scale.reshape(-1, 16), each, half)
    return codes, _half(d)


def _codes(groups: Floats, scale: Floats, minimum: Floats, most: int) -> Bytes:
    """The nearest codes, (groups, n), for scales and minima as they are stored."""
    step = inverse(scale.reshape(-1, 1))
    above = groups + minimum.reshape(-1, 1)
    return np.clip(nearest(above * step), 0, most).astype(np.uint8)


def _signed_codes(groups: Floats, scale: Floats, half: int) -> Bytes:
    """The same, around `half`."""
    found = np.clip(nearest(groups * inverse(scale.reshape(-1, 1))), -half, half - 1)
    return (found + half).astype(np.uint8)


def crumbs(codes: Bytes) -> Bytes:
    """(blocks, 256) codes below 4 -> (blocks, 64): byte i of 32 has columns i, 32 + i, 64 + i and
    96 + i, the first one lowest."""
    parts = codes.reshape(-1, 2, 4, 32)
    packed = parts[:, :, 0] | parts[:, :, 1] << 2 | parts[:, :, 2] << 4 | parts[:, :, 3] << 6
    out: Bytes = packed.reshape(len(codes), -1)
    return out


def pairs(codes: Bytes, run: int) -> Bytes:
    """(blocks, 256) codes below 16 -> (blocks, 128): of each 2 `run`, the first half low."""
    parts = codes.reshape(len(codes), -1, 2, run)
    out: Bytes = (parts[:, :, 0] | parts[:, :, 1] << 4).reshape(len(codes), -1)
    return out


def _bit_planes(bits: Bytes) -> Bytes:
    """(blocks, 256) bits -> (blocks, 32): bit g of byte i is that of column 32 g + i."""
    parts = (bits & 1).reshape(-1, 8, 32) << np.arange(8, dtype=np.uint8)[:, None]
    out: Bytes = np.bitwise_or.reduce(parts, 1)
    return out
