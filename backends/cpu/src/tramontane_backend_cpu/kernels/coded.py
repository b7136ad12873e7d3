"""An 8-bit cache of keys and values: storing, and the parts of attention that read it.

A page of a block of 16 tokens and a head is its codes, then for each 32 numbers of the head a scale
for each token: bfloat16 (groups, 16). Codes of values are stored as (16, d), those of keys as (d /
4, 16, 4): a register holds four numbers of each token, and one instruction multiplies a query's
codes of the same four with all of them. Sums of bytes are whole numbers, the same in any order.

Values are multiplied as floats, with weights that their scales have been multiplied into.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.arithmetic import same
from tramontane_backend_cpu.vector.int8_dot import (
    add_worth,
    int_tile,
    largest,
    put_fours,
    tile_dot,
    tile_times,
)
from tramontane_backend_cpu.vector.memory import (
    load,
    load_some,
    number,
    prefetch,
    put,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.tiles import float_tile, load_tile, save_tile

GROUP = 32
SCALES = 32
"""Bytes of 16 tokens' scales."""
LEAST = np.float32(np.finfo(np.float32).tiny)
"""The inverse of a smaller scale is not finite, so such a scale is written as 0."""


@njit
def scales_bytes(width):  # type: ignore[no-untyped-def]
    """Bytes of a page's scales, which follow the codes, for heads of `width` numbers."""
    return groups_of(width) * SCALES


@njit
def groups_of(width):  # type: ignore[no-untyped-def]
    """Scales of a head of `width` numbers."""
    return (width + GROUP - 1) // GROUP


@njit
def fours_of(width):  # type: ignore[no-untyped-def]
    """Groups of four codes of a head of `width` numbers, the last one padded."""
    return (width + 3) // 4


@njit
def put_scale(numbers, count, to):  # type: ignore[no-untyped-def]
    """Write the scale of up to 32 numbers; returns its inverse, 0 where it has none."""
    first = load_some("f32", numbers, min(count, 16))
    rest = load_some("f32", numbers + 64, max(count - 16, 0))
    scale = largest(first, rest) * np.float32(1 / 127)
    if scale < LEAST:
        scale = np.float32(0)
    put("bf16", to, scale)
    scale = number("bf16", to)
    if scale > np.float32(0) and scale < np.float32(np.inf):
        return np.float32(1) / scale
    return np.float32(0)


@njit
def put_codes(numbers, count, inverse, to, step):  # type: ignore[no-untyped-def]
    """Write the codes of up to 32 numbers in groups of four, `step` bytes apart."""
    for i in range(0, count, 16):
        left = min(16, count - i)
        code = load_some("f32", numbers + 4 * i, left) * same(inverse)
        put_fours(to + i // 4 * step, step, code, (left + 3) // 4)


@native(3)
def store_codes(arguments, first, last):  # type: ignore[no-untyped-def]
    """Write keys and values into a cache of codes; as `rows.store_kernel`."""
    k, k_stride, v, v_stride, slots, heads, d_key, d_value, keys, values = words(arguments, 10)
    key_page = 64 * fours_of(d_key) + scales_bytes(d_key)
    value_page = 16 * d_value + scales_bytes(d_value)
    for row in range(first, last):
        slot = word(slots + 8 * row)
        block, place = slot // 16, slot % 16
        for head in range(heads):
            page = keys + (block * heads + head) * key_page
            scales = page + 64 * fours_of(d_key) + 2 * place
            numbers = k + row * k_stride + 4 * head * d_key
            for begin in range(0, d_key, GROUP):
                size = min(GROUP, d_key - begin)
                inverse = put_scale(numbers + 4 * begin, size, scales)
                scales += SCALES
                put_codes(numbers + 4 * begin, size, inverse, page + 16 * begin + 4 * place, 64)
            page = values + (block * heads + head) * value_page
            scales = page + 16 * d_value + 2 * place
            numbers = v + row * v_stride + 4 * head * d_value
            for begin in range(0, d_value, GROUP):
                end = min(begin + GROUP, d_value)
                inverse = put_scale(numbers + 4 * begin, end - begin, scales)
                scales += SCALES
                for i in range(begin, end, 16):
                    left = min(16, end - i)
                    code = load_some("f32", numbers + 4 * i, left) * same(inverse)
                    store_some("i8", page + place * d_value + i, code, left)


@njit
def put_query(numbers, d_key, factor, to, count):  # type: ignore[no-untyped-def]
    """Write a query's codes into its tile of `count` queries, (d / 4, count, 4), and its scales
    times `factor` behind the tile's codes: float32 (groups, count)."""
    query_scales = to + 4 * fours_of(d_key) * count
    for group in range(groups_of(d_key)):
        # the scale is written as a cache's, two bytes of four, and read again
        at = query_scales + 4 * group * count
        first = numbers + 4 * GROUP * group
        size = min(GROUP, d_key - GROUP * group)
        inverse = put_scale(first, size, at)
        put("f32", at, number("bf16", at) * factor)
        put_codes(first, size, inverse, to + GROUP * group * count, 4 * count)


def coded_scores(count: int) -> Any:
    """The function that writes the scores of a tile of `count` queries with two blocks' tokens."""

    @njit
    def scores(at, other, d_key, q, to, row_bytes, prefetching, soon, later):  # type: ignore[no-untyped-def]
        fours = fours_of(d_key)
        scales, other_scales = at + 64 * fours, other + 64 * fours
        query_scales = q + 4 * fours * count
        for begin in range(0, fours, GROUP // 4):
            first, second = int_tile(count), int_tile(count)
            for _ in range(min(GROUP // 4, fours - begin)):
                first = tile_dot(count, first, at, q)
                second = tile_dot(count, second, other, q)
                if prefetching:
                    prefetch(soon, 64)
                    prefetch(later, 64)
                at += 64
                other += 64
                soon += 64
                later += 64
                q += 4 * count
            first_sums, second_sums = float_tile(count), float_tile(count)
            if begin > 0:
                first_sums, second_sums = (
                    load_tile(count, to, row_bytes),
                    load_tile(count, to + 64, row_bytes),
                )
            scale, other_scale = load("bf16", scales), load("bf16", other_scales)
            save_tile(
                count, add_worth(count, first_sums, first, scale, query_scales), to, row_bytes
            )
            save_tile(
                count,
                add_worth(count, second_sums, second, other_scale, query_scales),
                to + 64,
                row_bytes,
            )
            scales += SCALES
            other_scales += SCALES
            query_scales += 4 * count
        if prefetching:  # the values' scales lie behind their codes
            for line in range(0, groups_of(d_key) * SCALES, 64):
                prefetch(soon + line, 64)
                prefetch(later + line, 64)

    return scores


@njit
def put_floats(page, width, to):  # type: ignore[no-untyped-def]
    """Write a block's values as floats, (16, width)."""
    scales = page + 16 * width
    for token in range(16):
        for i in range(0, width, 16):
            left = min(16, width - i)
            scale = number("bf16", scales + i // GROUP * SCALES + 2 * token)
            value = load_some("i8", page + token * width + i, left) * same(scale)
            store_some("f32", to + 4 * (token * width + i), value, left)


def scaled_weights(count: int) -> Any:
    """The function that writes 16 tokens' weights times their scales, for `count` queries."""

    @njit
    def weigh(weights, row_bytes, scales, to):  # type: ignore[no-untyped-def]
        tile = load_tile(count, weights, row_bytes)
        save_tile(count, tile_times(count, tile, load("bf16", scales)), to, row_bytes)

    return weigh
