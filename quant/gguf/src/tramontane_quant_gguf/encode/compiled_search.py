"""`search.affine` and `search.symmetric` compiled, bit for bit the same.

Imported only where numba is. Lane l of 64 has a group, so that numbers of 64 groups are added at
once and those of each one after the other, as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 64
"""LLVM unrolls a loop over fewer before it would make vectors of it."""
Floats = NDArray[Any]
ZERO, ONE = np.float32(0), np.float32(1)
ROUNDS = np.float32(3 << 22)
"""Added and taken away, it leaves a whole number, ties to even."""


@njit(nogil=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _tried(
    x: Floats, w: Floats, inverse: Floats, low: Floats, most: np.float32, codes: Floats,
    out: Floats,
) -> None:  # fmt: skip
    """Codes of a try, (n, lanes), and the sums of w c, w c c and w c x: (3, lanes)."""
    out[:] = ZERO
    for i in range(x.shape[0]):
        for lane in range(LANES):
            at = x[i, lane]
            # not max and min, whose rules for NaN keep LLVM from using vectors
            code = inverse[lane] * (at - low[lane])
            code = code if code > ZERO else ZERO
            code = code if code < most else most
            code = (code + ROUNDS) - ROUNDS
            weighted = w[i, lane] * code
            codes[i, lane] = code
            out[0, lane] += weighted
            out[1, lane] += weighted * code
            out[2, lane] += weighted * at


@njit(nogil=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _error(
    x: Floats, w: Floats, codes: Floats, scale: Floats, low: Floats, absolute: bool, out: Floats
) -> None:
    """The sum of w times each error or its square: (lanes)."""
    out[:] = ZERO
    for i in range(x.shape[0]):
        for lane in range(LANES):
            off = scale[lane] * codes[i, lane] + low[lane] - x[i, lane]
            size = off if off > ZERO else -off
            out[lane] += w[i, lane] * (size * (ONE if absolute else size))


@njit(nogil=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def affine(
    x: Floats, weights: Floats, factors: Floats, most: np.float32, absolute: bool,
    scales: Floats, minima: Floats,
) -> None:  # fmt: skip
    """x, weights: (groups, n), contiguous. scales, minima: (groups, 1), written."""
    groups, n = x.shape
    xs, ws = np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32)
    codes, tried = np.empty((n, LANES), np.float32), np.empty((3, LANES), np.float32)
    low, high = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    sum_w, sum_x = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    scale, inverse = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    best, found = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    new_scale, new_low = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    there = np.empty(LANES, np.bool_)
    for start in range(0, groups, LANES):
        for lane in range(LANES):
            group = min(start + lane, groups - 1)
            least, highest = x[group, 0], x[group, 0]
            total_w, total_x = ZERO, ZERO
            for i in range(n):
                at, w = x[group, i], weights[group, i]
                xs[i, lane], ws[i, lane] = at, w
                least, highest = min(least, at), max(highest, at)
                total_w += w
                total_x += w * at
            least = min(least, ZERO)
            low[lane], high[lane] = least, highest
            sum_w[lane], sum_x[lane] = total_w, total_x
            width = highest - least if highest > least else ONE
            scale[lane], inverse[lane] = width / most, factors[0] / width
        _tried(xs, ws, inverse, low, most, codes, tried)
        _error(xs, ws, codes, scale, low, absolute, best)
        for step in range(1, len(factors)):
            for lane in range(LANES):
                width = high[lane] - low[lane] if high[lane] > low[lane] else ONE
                inverse[lane] = factors[step] / width
            _tried(xs, ws, inverse, low, most, codes, tried)
            for lane in range(LANES):
                sum_l, sum_l2, sum_xl = tried[0, lane], tried[1, lane], tried[2, lane]
                below = sum_w[lane] * sum_l2 - sum_l * sum_l
                there[lane] = below > ZERO
                below = below if there[lane] else ONE
                a = (sum_w[lane] * sum_xl - sum_x[lane] * sum_l) / below
                b = (sum_l2 * sum_x[lane] - sum_l * sum_xl) / below
                if b > ZERO:
                    a = sum_xl / sum_l2 if sum_l2 > ZERO else ZERO
                    b = ZERO
                new_scale[lane], new_low[lane] = a, b
            _error(xs, ws, codes, new_scale, new_low, absolute, found)
            for lane in range(LANES):
                if there[lane] and found[lane] < best[lane]:
                    best[lane] = found[lane]
                    scale[lane], low[lane] = new_scale[lane], new_low[lane]
        for lane in range(min(LANES, groups - start)):
            flat = high[lane] <= low[lane]
            scales[start + lane, 0] = ZERO if flat else scale[lane]
            minima[start + lane, 0] = -low[lane]


@njit(nogil=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _both_signs(
    x: Floats, w: Floats, inverse: Floats, half: np.float32, codes: Floats, out: Floats
) -> None:
    """Codes of a try, (n, lanes), and the sums of w c x and w c c: (2, lanes)."""
    out[:] = ZERO
    for i in range(x.shape[0]):
        for lane in range(LANES):
            at = x[i, lane]
            code = inverse[lane] * at
            code = code if code > -half else -half
            code = code if code < half - ONE else half - ONE
            code = (code + ROUNDS) - ROUNDS
            weighted = w[i, lane] * code
            codes[i, lane] = code
            out[0, lane] += weighted * at
            out[1, lane] += weighted * code


@njit(nogil=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def symmetric(
    x: Floats, weights: Floats, factors: Floats, half: np.float32, least: np.float32,
    codes: Floats, scales: Floats,
) -> None:  # fmt: skip
    """x, weights: (groups, n), contiguous. factors: of each try, the first one's choice stands.
    least: the smallest magnitude that is not 0. codes: (groups, n), scales:
    (groups, 1), written."""
    groups, n = x.shape
    xs, ws = np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32)
    tried, kept = np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32)
    found, inverse = np.empty((2, LANES), np.float32), np.empty(LANES, np.float32)
    peak, scale = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    best = np.empty(LANES, np.float32)
    for start in range(0, groups, LANES):
        for lane in range(LANES):
            group = min(start + lane, groups - 1)
            largest = x[group, 0]
            for i in range(n):
                at = x[group, i]
                xs[i, lane], ws[i, lane] = at, weights[group, i]
                if abs(at) > abs(largest):
                    largest = at
            peak[lane] = largest
        for step in range(len(factors)):
            for lane in range(LANES):
                there = abs(peak[lane]) >= least
                inverse[lane] = factors[step] / (peak[lane] if there else ONE)
            _both_signs(xs, ws, inverse, half, tried, found)
            for lane in range(LANES):
                sum_lx, sum_l2 = found[0, lane], found[1, lane]
                better = sum_l2 > ZERO and sum_lx * sum_lx > best[lane] * sum_l2
                if step == 0 or better:
                    scale[lane] = sum_lx / sum_l2 if sum_l2 > ZERO else ZERO
                    best[lane] = scale[lane] * sum_lx
                    for i in range(n):
                        kept[i, lane] = tried[i, lane]
        for lane in range(min(LANES, groups - start)):
            there = abs(peak[lane]) >= least
            scales[start + lane, 0] = scale[lane] if there else ZERO
            for i in range(n):
                codes[start + lane, i] = kept[i, lane] if there else ZERO
