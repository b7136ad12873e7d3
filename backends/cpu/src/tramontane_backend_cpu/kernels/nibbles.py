"""Keys and values in 4 bits: written, and what attention does otherwise to read them.

As `coded.py`, with two codes in a byte: a page's keys lie as (d / 8, 16, 4) bytes, each unit of 4
bytes eight numbers of a token, the first four in the low halves; its values as (16, d / 2), in each
group the first 16 numbers in the low halves. Queries have 8-bit codes. The cache's codes are stored
plus 8, for which a query's scores are corrected by the sum of its codes in each group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.arithmetic import lane_most, larger, same
from tramontane_backend_cpu.vector.int8_dot import add_worth, largest
from tramontane_backend_cpu.vector.memory import (
    load,
    load_some,
    number,
    prefetch,
    put,
    put_short_word,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.nibbles import (
    code_sum,
    int_tile_at,
    put_key_nibbles,
    put_value_nibbles,
    rounded_nibbles,
    tile_dot_nibbles,
)
from tramontane_backend_cpu.vector.tiles import float_tile, load_tile, save_tile

from .coded import GROUP, LEAST, SCALES, groups_of, put_codes, put_scale, scales_bytes

UNITS = GROUP // 8
"""Units of a key's group."""
VALUE_BYTES = GROUP // 2
"""Of a group of a value's codes."""


@njit
def units_of(width):  # type: ignore[no-untyped-def]
    """Units of 4 bytes of a key of `width` numbers, the last one filled up."""
    return (width + 7) // 8


@njit
def key_page_bytes(width):  # type: ignore[no-untyped-def]
    """Of a block's keys of a head of `width` numbers."""
    return 64 * units_of(width) + scales_bytes(width)


@njit
def value_codes_bytes(width):  # type: ignore[no-untyped-def]
    """Of a token's value of `width` numbers, without scales."""
    return VALUE_BYTES * groups_of(width)


@njit
def value_page_bytes(width):  # type: ignore[no-untyped-def]
    """Of a block's values of a head of `width` numbers."""
    return 16 * value_codes_bytes(width) + scales_bytes(width)


@njit
def put_signed_scale(numbers, count, to):  # type: ignore[no-untyped-def]
    """Write the scale of up to 32 numbers, -1/8 of the largest with its sign; returns its inverse,
    0 where it has none."""
    first = load_some("f32", numbers, min(count, 16))
    rest = load_some("f32", numbers + 64, max(count - 16, 0))
    magnitude = largest(first, rest)
    scale = magnitude * np.float32(1 / 8)
    if lane_most(larger(first, rest)) == magnitude:
        scale = -scale
    if abs(scale) < LEAST:
        scale = np.float32(0)
    put("bf16", to, scale)
    scale = number("bf16", to)
    if scale != np.float32(0) and abs(scale) < np.float32(np.inf):
        return np.float32(1) / scale
    return np.float32(0)


@native(3)
def store_nibbles(arguments, first, last):  # type: ignore[no-untyped-def]
    """Write keys and values into a cache of 4-bit codes; as `rows.store_kernel`."""
    k, k_stride, v, v_stride, slots, heads, d_key, d_value, keys, values = words(arguments, 10)
    key_page, value_page = key_page_bytes(d_key), value_page_bytes(d_value)
    value_bytes = value_codes_bytes(d_value)
    for row in range(first, last):
        slot = word(slots + 8 * row)
        block, place = slot // 16, slot % 16
        for head in range(heads):
            page = keys + (block * heads + head) * key_page
            scales = page + 64 * units_of(d_key) + 2 * place
            numbers = k + row * k_stride + 4 * head * d_key
            for begin in range(0, d_key, GROUP):
                here = min(GROUP, d_key - begin)
                inverse = put_signed_scale(numbers + 4 * begin, here, scales)
                scales += SCALES
                for i in range(0, here, 16):
                    left = min(16, here - i)
                    code = load_some("f32", numbers + 4 * (begin + i), left) * same(inverse)
                    at = page + 8 * (begin + i) + 4 * place
                    put_key_nibbles(at, 64, rounded_nibbles(code), units_of(left))
            page = values + (block * heads + head) * value_page
            scales = page + 16 * value_bytes + 2 * place
            numbers = v + row * v_stride + 4 * head * d_value
            for begin in range(0, d_value, GROUP):
                here = min(GROUP, d_value - begin)
                inverse = put_signed_scale(numbers + 4 * begin, here, scales)
                scales += SCALES
                at = numbers + 4 * begin
                code = load_some("f32", at, min(16, here)) * same(inverse)
                other = load_some("f32", at + 64, max(here - 16, 0)) * same(inverse)
                to = page + place * value_bytes + begin // 2
                put_value_nibbles(to, rounded_nibbles(code), rounded_nibbles(other))


@njit
def put_nibble_query(numbers, d_key, factor, to, count):  # type: ignore[no-untyped-def]
    """Write a query's 8-bit codes where its tile of `count` has them, (units, 2, count, 4), and
    behind the tile's their scales times `factor`, float32 (groups, count), and what the codes of
    keys being 8 too large adds, int32 (groups, count), negated."""
    scales = to + 8 * units_of(d_key) * count
    sums = scales + 4 * groups_of(d_key) * count
    if d_key % 8 > 0 and d_key % 8 <= 4:  # half of the last unit
        put_short_word(to + 4 * (2 * units_of(d_key) - 1) * count, 0)
    for group in range(groups_of(d_key)):
        at = scales + 4 * group * count
        first = numbers + 4 * GROUP * group
        here = min(GROUP, d_key - GROUP * group)
        inverse = put_scale(first, here, at)
        put("f32", at, number("bf16", at) * factor)
        put_codes(first, here, inverse, to + GROUP * group * count, 4 * count)
        total = code_sum(load_some("f32", first, min(here, 16)) * same(inverse))
        total += code_sum(load_some("f32", first + 64, max(here - 16, 0)) * same(inverse))
        put_short_word(sums + 4 * group * count, -8 * total)


def nibble_scores(count: int) -> Any:
    """The function that writes the scores of a tile of `count` queries with two blocks' tokens."""

    @njit
    def scores(at, beside, d_key, q, to, row_bytes, ahead, soon, later):  # type: ignore[no-untyped-def]
        units = units_of(d_key)
        scales, other_scales = at + 64 * units, beside + 64 * units
        query_scales = q + 8 * units * count
        sums = query_scales + 4 * groups_of(d_key) * count
        for begin in range(0, units, UNITS):
            first, second = int_tile_at(count, sums), int_tile_at(count, sums)
            for _ in range(min(UNITS, units - begin)):
                first = tile_dot_nibbles(count, first, at, q)
                second = tile_dot_nibbles(count, second, beside, q)
                if ahead:
                    prefetch(soon, 64)
                    prefetch(later, 64)
                at += 64
                beside += 64
                soon += 64
                later += 64
                q += 8 * count
            before, too = float_tile(count), float_tile(count)
            if begin > 0:
                before, too = load_tile(count, to, row_bytes), load_tile(count, to + 64, row_bytes)
            scale, other_scale = load("bf16", scales), load("bf16", other_scales)
            done = add_worth(count, before, first, scale, query_scales)
            save_tile(count, done, to, row_bytes)
            done = add_worth(count, too, second, other_scale, query_scales)
            save_tile(count, done, to + 64, row_bytes)
            scales += SCALES
            other_scales += SCALES
            query_scales += 4 * count
            sums += 4 * count
        if ahead:  # the values' scales lie behind their codes
            for line in range(0, groups_of(d_key) * SCALES, 64):
                prefetch(soon + line, 64)
                prefetch(later + line, 64)

    return scores


@njit
def put_nibble_floats(page, width, to):  # type: ignore[no-untyped-def]
    """Write a block's values as floats, (16, width)."""
    value_bytes = value_codes_bytes(width)
    scales = page + 16 * value_bytes
    for token in range(16):
        for i in range(0, width, 16):
            scale = same(number("bf16", scales + i // GROUP * SCALES + 2 * token))
            at = page + token * value_bytes + i // GROUP * VALUE_BYTES
            codes = load("low4", at)
            if i % GROUP > 0:
                codes = load("high4", at)
            value = (codes - same(8)) * scale
            store_some("f32", to + 4 * (token * width + i), value, min(16, width - i))
