"""What attention's splits come to together: sums of tokens in several runs, merged in order."""

from __future__ import annotations

import numpy as np

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.arithmetic import exp, first_lane, fma, same
from tramontane_backend_cpu.vector.memory import load, number, put, store, store_some, word, words
from tramontane_backend_cpu.vector.target import SET

FEW, MANY = SET.attention_tiles
SPLIT = 512
"""Tokens of a split."""
TILE_BYTES = 40
"""Of what a query tile is told, see `attention.FIELDS`."""


@njit
def merge(most, other, count, rows, chunks):  # type: ignore[no-untyped-def]
    """Add a split's sums at `other` to those at `most`, in tiles of `count` rows."""
    room = (rows + 15) // 16 * 16
    for row in range(rows):
        a, b = number("f32", most + 4 * row), number("f32", other + 4 * row)
        highest = max(a, b)
        left, right = exp(same(a - highest)), exp(same(b - highest))
        at = 4 * (room + row)
        weight = first_lane(left) * number("f32", most + at)
        put("f32", most + at, weight + first_lane(right) * number("f32", other + at))
        put("f32", most + 4 * row, highest)
        at = 8 * room + ((row - row % count) * chunks + row % count) * 64
        for _ in range(chunks):
            mine = load("f32", most + at) * left
            store("f32", most + at, fma(load("f32", other + at), right, mine))
            at += count * 64


@njit
def finish(most, tile, kv_head, arguments, count):  # type: ignore[no-untyped-def]
    """Divide the weighted values by the weights' sum, and write them to the output."""
    (_, _, _, heads, kv_heads, _, d_value, _, _, out, out_stride, _, _, _, _, _, sinks, _, _, _, _,
     _, _, _) = words(arguments, 24)  # fmt: skip
    start, queries = word(tile), word(tile + 8)
    group = heads // kv_heads
    rows = queries * group
    room = (rows + 15) // 16 * 16
    chunks = (d_value + 15) // 16
    for row in range(rows):
        head = kv_head * group + row % group
        weight = number("f32", most + 4 * (room + row))
        scale = np.float32(1)
        if sinks != 0:
            highest, sink = number("f32", most + 4 * row), number("f32", sinks + 4 * head)
            top = max(highest, sink)
            scale = first_lane(exp(same(highest - top)))
            weight = scale * weight + first_lane(exp(same(sink - top)))
        at = most + 8 * room + ((row - row % count) * chunks + row % count) * 64
        to = out + (start + row // group) * out_stride + 4 * head * d_value
        for chunk in range(chunks):
            value = load("f32", at) * same(scale) / same(weight)
            store_some("f32", to + 64 * chunk, value, min(16, d_value - 16 * chunk))
            at += count * 64


@njit
def first_seen(position, window):  # type: ignore[no-untyped-def]
    """The first token that one at a position sees. window: how many, itself included; 0: all; below
    0: the chunk's length, negative."""
    if window < 0:
        return position - position % -window
    return max(0, position - window + 1) if window > 0 else 0


@njit
def tile_rows(rows):  # type: ignore[no-untyped-def]
    """Rows that are done together."""
    return FEW if rows <= FEW else MANY


@njit
def copy(source, to, size):  # type: ignore[no-untyped-def]
    """`size` bytes, a multiple of 64."""
    for at in range(0, size, 64):
        store("f32", to + at, load("f32", source + at))


@native(3)
def merge_splits(arguments, job, thread):  # type: ignore[no-untyped-def]
    """What the splits of one tile and cached head come to together; the jobs of `attention` with
    splits are counted by splits, then heads, then tiles."""
    (tiles, _, splits_at, heads, kv_heads, _, d_value, _, _, _, _, _, _, _, window, _, _, _, _, _,
     partials, partial_size, _, _) = words(arguments, 24)  # fmt: skip
    splits = word(splits_at)
    kv_head, tile = job % kv_heads, tiles + TILE_BYTES * (job // kv_heads)
    queries, position = word(tile + 8), word(tile + 16)
    rows = queries * (heads // kv_heads)
    count = tile_rows(rows)
    chunks = (d_value + 15) // 16
    lowest = first_seen(position, window) // SPLIT
    length = max(position + queries, word(tile + 32))
    last = (length + SPLIT - 1) // SPLIT
    most = partials + (job * splits + lowest) * partial_size
    for split in range(lowest + 1, last):
        merge(most, partials + (job * splits + split) * partial_size, count, rows, chunks)
    finish(most, tile, kv_head, arguments, count)
