"""Searches for the scale, and minimum, that codes of a group fit best: ggml's, for many groups.

Each takes x: (groups, n) float32 and weights of the same shape, how much an error of each number
counts, and returns codes and numbers for each group, in float32 as ggml computes. So errors are
ggml's, up to the order of sums. Source: ggml-quants.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiling import compiled

Floats = NDArray[Any]
EPSILON = np.float32(1e-15)
"""A group whose largest magnitude is below has codes of 0."""


def nearest(x: Floats) -> Floats:
    """Rounded to whole numbers, ties to even."""
    rounded: Floats = np.rint(x)
    return rounded


def inverse(x: Floats) -> Floats:
    """1 / x, and 0 where x is 0."""
    out: Floats = np.divide(np.float32(1), x, out=np.zeros_like(x), where=x != 0)
    return out


def ratio(above: Floats, below: Floats) -> Floats:
    """above / below, and 0 where below is not positive."""
    out: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return out


def sums(values: Any) -> Floats:
    """Of each group, one after the other: (groups, n) -> (groups, 1)."""
    return np.add.accumulate(values, -1, dtype=np.float32)[..., -1:]


def signed_peak(x: Floats) -> Floats:
    """The number of each group with the largest magnitude, the first of equal ones: (groups, 1)."""
    return np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)


def affine(
    x: Floats,
    weights: Floats,
    most: int,
    steps: tuple[float, float, int],
    *,
    absolute: bool = False,
) -> tuple[Floats, Floats]:
    """scale, minimum: (groups, 1) each, such that x is about scale * code - minimum with codes from
    0 to `most`, neither below 0.

    steps: first, size and number of the scales that are tried. absolute: errors count by magnitude,
    not by square. ggml's make_qkx2_quants and make_qkx3_quants.
    """
    first, size, count = steps
    factors = np.array([most, *(first + size * step + most for step in range(count + 1))], "f4")
    if (fast := compiled()) is not None:
        made: Floats = np.empty((2, len(x), 1), np.float32)
        both = (np.ascontiguousarray(numbers) for numbers in (x, weights))
        fast.affine(*both, factors, np.float32(most), absolute, *made)
        return made[0], made[1]
    minimum: Floats = np.minimum(x.min(-1, keepdims=True), np.float32(0))
    highest = x.max(-1, keepdims=True)
    flat = highest <= minimum
    sum_w, sum_x = sums(weights), sums(weights * x)

    def codes_of(factor: np.float32) -> Floats:
        # a better minimum is where the next tries start from, as in ggml
        width = np.where(flat, np.float32(1), highest - minimum)
        return np.clip(nearest(factor / width * (x - minimum)), 0, np.float32(most))

    def error(codes: Floats, scale: Floats, minimum: Floats) -> Floats:
        off = scale * codes + minimum - x
        return sums(weights * (np.abs(off) if absolute else off * off))

    scale: Floats = np.where(flat, np.float32(1), highest - minimum) / np.float32(most)
    best = error(codes_of(factors[0]), scale, minimum)
    for factor in factors[1:]:
        codes = codes_of(factor)
        weighted = weights * codes
        sum_l, sum_l2, sum_xl = sums(weighted), sums(weighted * codes), sums(weighted * x)
        determinant = sum_w * sum_l2 - sum_l * sum_l
        there = determinant > 0
        below = np.where(there, determinant, np.float32(1))
        new_scale = (sum_w * sum_xl - sum_x * sum_l) / below
        new_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / below
        positive = new_minimum > 0
        new_scale = np.where(positive, ratio(sum_xl, sum_l2), new_scale)
        new_minimum = np.where(positive, np.float32(0), new_minimum)
        found = error(codes, new_scale, new_minimum)
        better = there & (found < best)
        best = np.where(better, found, best)
        scale, minimum = np.where(better, new_scale, scale), np.where(better, new_minimum, minimum)
    return np.where(flat, np.float32(0), scale), -minimum


def symmetric(x: Floats, weights: Floats, half: int) -> tuple[Floats, Floats]:
    """codes: (groups, n) from -half to half - 1, and scale: (groups, 1), such that x is about scale
    * code. ggml's make_qx_quants."""
    steps = (0, *range(-9, 0), *range(1, 10))
    factors = np.array([-(half + 0.1 * step) for step in steps], "f4")
    if (fast := compiled()) is not None:
        out: Floats = np.empty(x.shape, np.float32)
        found: Floats = np.empty((len(x), 1), np.float32)
        both = (np.ascontiguousarray(numbers) for numbers in (x, weights))
        fast.symmetric(*both, factors, np.float32(half), EPSILON, out, found)
        return out, found
    peak = signed_peak(x)
    there = np.abs(peak) >= EPSILON
    peak = np.where(there, peak, np.float32(1))
    codes = scale = best = np.zeros_like(peak)
    for number, factor in enumerate(factors):
        tried = np.clip(nearest(factor / peak * x), -half, half - 1)
        weighted = weights * tried
        sum_lx, sum_l2 = sums(weighted * x), sums(weighted * tried)
        better = (sum_l2 > 0) & (sum_lx * sum_lx > best * sum_l2) | (number == 0)
        codes = np.where(better, tried, codes)
        scale = np.where(better, ratio(sum_lx, sum_l2), scale)
        best = np.where(better, scale * sum_lx, best)
    return np.where(there, codes, np.float32(0)), np.where(there, scale, np.float32(0))


def one_by_one(x: Floats, weights: Floats, half: int) -> Floats:
    """scale: (groups, 1), of codes from -half to half - 1, each of which is moved as long as that
    brings the others nearer. ggml's make_q3_quants."""
    peak = signed_peak(x)
    there = np.abs(peak) >= EPSILON
    codes = np.clip(nearest(-np.float32(half) * inverse(peak) * x), -half, half - 1)
    return np.where(there, _moved(x, weights, codes, -half, half - 1), np.float32(0))


def positive(x: Floats, weights: Floats, most: int) -> tuple[Floats, Floats]:
    """codes: (groups, n) from 0 to `most`, and scale: (groups, 1), of numbers that are not below 0.
    ggml's make_qp_quants."""
    peak = x.max(-1, keepdims=True)
    there = peak >= EPSILON
    peak = np.where(there, peak, np.float32(1))

    def codes_of(inverse_scale: Floats) -> Floats:
        return np.clip(nearest(inverse_scale * x), 0, most)

    def error(inverse_scale: Floats) -> Floats:
        off = x - codes_of(inverse_scale) / inverse_scale
        return sums(weights * off * off)

    chosen = np.float32(most) / peak
    best = error(chosen)
    for step in (*range(-4, 0), *range(1, 5)):
        tried = np.float32(0.1 * step + most) / peak
        found = error(tried)
        better = found < best
        chosen, best = np.where(better, tried, chosen), np.where(better, found, best)
    codes = codes_of(chosen)
    scale = _moved(x, weights, codes, 0, most)
    return np.where(there, codes, np.float32(0)), np.where(there, scale, np.float32(0))


def _moved(x: Floats, weights: Floats, codes: Floats, least: int, most: int) -> Floats:
    """Move codes, in place, one after the other, at most five times; returns the best scale."""
    weighted = weights * codes
    sum_lx, sum_l2 = sums(weighted * x), sums(weighted * codes)
    for _ in range(5):
        changed = False
        for i in range(x.shape[1]):
            at, w, code = x[:, i : i + 1], weights[:, i : i + 1], codes[:, i : i + 1]
            others, squares = sum_lx - w * at * code, sum_l2 - w * code * code
            some = (others > 0) & (squares > 0 if least == 0 else True)
            moved = np.clip(nearest(at * squares * inverse(others)), least, most)
            new_lx, new_l2 = others + w * at * moved, squares + w * moved * moved
            better = some & (moved != code) & (new_l2 > 0)
            better &= new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2
            changed |= bool(better.any())
            codes[:, i : i + 1] = np.where(better, moved, code)
            sum_lx, sum_l2 = np.where(better, new_lx, sum_lx), np.where(better, new_l2, sum_l2)
        if not changed:
            break
    return ratio(sum_lx, sum_l2)
