"""Attention over the paged cache, for one new token of many sequences and for many of one alike.

A query tile is some tokens of one sequence; a job does the heads that share one head of the cache,
so that keys and values are read once for all of them. Keys lie transposed within a block of 16
tokens: 16 scores are sums over registers, and nothing is added across lanes. Softmax is online, in
steps of 64 tokens, restarted every SPLIT tokens and merged in order, all counted from a sequence's
beginning: so a token's result does not depend on its neighbours, on chunks, or on threads. When
there are fewer jobs than keep the threads busy, the splits of a long context are jobs of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.kernels.attention_merge import (
    FEW,
    MANY,
    SPLIT,
    TILE_BYTES,
    copy,
    finish,
    first_seen,
    merge,
    tile_rows,
)
from tramontane_backend_cpu.kernels.coded import (
    coded_scores,
    fours_of,
    put_floats,
    put_query,
    scaled_weights,
    scales_bytes,
)
from tramontane_backend_cpu.kernels.latent import latent_scores
from tramontane_backend_cpu.kernels.nibbles import (
    key_page_bytes,
    nibble_scores,
    put_nibble_floats,
    put_nibble_query,
    value_codes_bytes,
    value_page_bytes,
)
from tramontane_backend_cpu.numba_setup import family, native, njit
from tramontane_backend_cpu.vector.arithmetic import (
    exp,
    first_lane,
    lane_most,
    lane_sum,
    larger,
    only,
    same,
    tanh,
)
from tramontane_backend_cpu.vector.float8 import FORMATS
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    load,
    number,
    prefetch,
    put,
    store,
    word,
    words,
)
from tramontane_backend_cpu.vector.parallel import call_attention
from tramontane_backend_cpu.vector.tiles import float_tile, load_tile, save_tile, tile_fma

CODES8, CODES4 = "i8", "i4"
"""Kinds of keys and values that are codes with scales."""
STEP = 64
LOWEST = np.float32(-1e30)
ROWS_AT_ONCE = 64
"""Queries times heads of a job, at most, unless one query has more."""
WEIGHTS = 4 * STEP * max(FEW, MANY)
"""Bytes of a tile's weights for one step."""
FIELDS = (
    "tiles", "tables", "splits", "heads", "kv_heads", "d_key", "d_value", "q", "q_stride", "out",
    "out_stride", "keys", "values", "scale", "window", "cap", "sinks", "slopes", "scratch",
    "scratch_bytes", "partials", "partial_bytes", "few", "many", "asked",
    "asked_stride",
)  # fmt: skip
"""tiles: per query tile 5 int64: first row, count, position of the first, place in `tables`, and
how many tokens its rows see even if these come later, or 0. tables: int64 cache blocks. splits:
address of how many jobs share a tile's context. q: float32 (rows, heads, d_key). scale, cap:
addresses of float32, cap 0 for none. window: see `first_seen`. sinks: address of a float32 per
head, or 0. slopes: address of 0 to 15 and, per head, what scores lose per token of distance,
float32, or 0. scratch: per thread; partials: per job. few, many: addresses of the kernels for tiles
of so many rows. asked: where values are keys too, what heads ask of them, float32 (rows, heads,
d_value), scaled; asked_stride: bytes from a row's to the next one's."""


def padded_rows(rows: int) -> int:
    """Rows in whole tiles of any size."""
    return (rows + 15) // 16 * 16


def scratch_bytes(rows: int, d_key: int, d_value: int) -> int:
    """What one thread needs: queries, scores, the sums of one split and of all; for codes, a
    block's values as floats, and a tile's weights."""
    own = 4 * padded_rows(rows) * (d_key + STEP) + 2 * sums_bytes(rows, d_value)
    return own + 64 * d_value + WEIGHTS


def sums_bytes(rows: int, d_value: int) -> int:
    """What a split comes to: per row the largest score, the weights' sum, the weighted values."""
    return 4 * padded_rows(rows) * (-(-d_value // 16) * 16 + 2)


def widened_block(kind: str) -> Any:
    """The function that writes a block's values, (16, width) of a kind of floats, as float32."""
    size = SIZES[kind]

    @njit
    def put_block(page, width, to):  # type: ignore[no-untyped-def]
        for i in range(0, 16 * width, 16):
            store("f32", to + 4 * i, load(kind, page + size * i))

    return put_block


@family
def split_kernel(kind: str, count: int, latent: bool = False) -> Any:
    """The kernel for tiles of `count` rows, a row being a query with a head: (arguments, scratch,
    tile, kv head, begin, end): softmax sums over tokens begin..end. latent: whether values are keys
    too."""
    nibbles, coded = kind == CODES4, kind in (CODES8, CODES4)
    size = 1 if nibbles else SIZES[kind]
    key_bytes, two_rows, row_bytes = 16 * size, 32 * size, 4 * STEP
    floats_first = coded or kind in FORMATS
    add_latents = latent_scores("f32" if floats_first else kind)
    put_scores = nibble_scores(count) if nibbles else coded_scores(count)
    block_floats = put_nibble_floats if nibbles else put_floats if coded else widened_block(kind)
    weigh, loaded = scaled_weights(count), "u8" if nibbles else kind
    # of the numbers of a value, 16 after 16, and whether the next 16 are in the same bytes
    chunk_bytes, next_bytes = (8, 0) if nibbles else (16 * size, 16 * size)

    def attend(arguments, scratch, tile, kv_head, begin, end):  # type: ignore[no-untyped-def]
        (_, tables, _, heads, kv_heads, d_key, d_value, _, _, _, _, keys, values, _, window,
         cap_at, _, slopes, _, scratch_size, _, _, _, _) = words(arguments, 24)  # fmt: skip
        key_page, value_page = d_key * key_bytes, d_value * key_bytes
        value_bytes = size * d_value
        if nibbles:
            key_page, value_page = key_page_bytes(d_key), value_page_bytes(d_value)
            value_bytes = value_codes_bytes(d_value)
        elif coded:
            key_page = 64 * fours_of(d_key) + scales_bytes(d_key)
            value_page += scales_bytes(d_value)
        weights = scratch + scratch_size - WEIGHTS
        queries, position, table = word(tile + 8), word(tile + 16), word(tile + 24)
        reach = word(tile + 32)
        group = heads // kv_heads
        rows = queries * group
        chunks = (d_value + 15) // 16
        padded = (rows + count - 1) // count * count
        room = (rows + 15) // 16 * 16
        scores = scratch + 4 * room * d_key
        most = scores + room * row_bytes
        total = most + 4 * room
        sums = total + 4 * room
        cap = number("f32", cap_at)
        for at in range(0, room, 16):
            store("f32", most + 4 * at, same(LOWEST))
            store("f32", total + 4 * at, same(0))
        for at in range(padded * chunks):
            store("f32", sums + 64 * at, same(0))
        limit = min(end, max(position + queries, reach))
        for step in range(begin, limit, STEP):
            stop = min(limit, step + STEP)
            for first in range(0, padded, count):
                for block in range(step, stop, 32):
                    # two blocks at a time: sums that do not wait for each other
                    page = word(tables + 8 * (table + block // 16))
                    other = page
                    if block + 16 < stop:
                        other = word(tables + 8 * (table + block // 16 + 1))
                    at = keys + (page * kv_heads + kv_head) * key_page
                    beside = keys + (other * kv_heads + kv_head) * key_page
                    q = scratch + 4 * first * d_key
                    soon = values + (page * kv_heads + kv_head) * value_page
                    later = values + (other * kv_heads + kv_head) * value_page
                    to = scores + first * row_bytes + 4 * (block - step)
                    if coded:
                        put_scores(at, beside, d_key, q, to, row_bytes, first == 0, soon, later)
                    else:
                        score, second = float_tile(count), float_tile(count)
                        for _ in range(d_key):
                            score = tile_fma(count, score, load(loaded, at), q, 4)
                            second = tile_fma(count, second, load(loaded, beside), q, 4)
                            if first == 0:
                                prefetch(soon, key_bytes)
                                prefetch(later, key_bytes)
                            at += key_bytes
                            beside += key_bytes
                            soon += key_bytes
                            later += key_bytes
                            q += 4 * count
                        save_tile(count, score, to, row_bytes)
                        save_tile(count, second, to + 64, row_bytes)
            if latent:
                asked_stride, together = word(arguments + 8 * 25), rows
                if asked_stride != 4 * heads * d_value:
                    together = heads  # of one token
                asked = word(arguments + 8 * 24) + word(tile) * asked_stride
                for block in range(step, stop, 16):
                    page = word(tables + 8 * (table + block // 16))
                    at = values + page * value_page
                    if floats_first:
                        block_floats(at, d_value, weights - 64 * d_value)
                        at = weights - 64 * d_value
                    to = scores + 4 * (block - step)
                    for first in range(0, rows, together):
                        q = asked + first // heads * asked_stride
                        add_latents(at, d_value, q, together, to + first * row_bytes, row_bytes)
            for row in range(rows):
                here = position + row // group
                lowest = first_seen(here, window)
                at = scores + row * row_bytes
                last = min(max(here + 1, reach), stop) - step
                peak = same(LOWEST)
                for block in range(0, STEP, 16):
                    s = same(0)
                    if step + block < stop:
                        s = load("f32", at + 4 * block)
                        if cap != 0:
                            s = same(cap) * tanh(s / same(cap))
                        if slopes != 0:
                            slope = number("f32", slopes + 64 + 4 * (kv_head * group + row % group))
                            first_far = same(np.float32(here - step - block))
                            s = s - same(slope) * (first_far - load("f32", slopes))
                    if step + block < lowest or block + 16 > last:
                        s = only(s, lowest - step - block, last - block)
                    store("f32", at + 4 * block, s)
                    peak = larger(s, peak)
                before = number("f32", most + 4 * row)
                highest = max(lane_most(peak), before)
                shrink = exp(same(before - highest))
                weight = same(0)
                for block in range(0, STEP, 16):
                    p = exp(load("f32", at + 4 * block) - same(highest))
                    store("f32", at + 4 * block, p)
                    weight = weight + p
                put("f32", most + 4 * row, highest)
                old = first_lane(shrink) * number("f32", total + 4 * row)
                put("f32", total + 4 * row, old + lane_sum(weight))
                if highest != before:
                    to = sums + (row - row % count) * chunks * 64 + row % count * 64
                    for _ in range(chunks):
                        store("f32", to, load("f32", to) * shrink)
                        to += count * 64
            for first in range(0, padded, count):
                for chunk in range(0, chunks, 2):
                    to = sums + (first * chunks + chunk * count) * 64
                    aside = to if chunk + 1 == chunks else to + 64 * count
                    mixed, mixed_too = load_tile(count, to, 64), load_tile(count, aside, 64)
                    next_one = 0 if chunk + 1 == chunks else next_bytes
                    p = scores + first * row_bytes
                    if coded:
                        for block in range(step, stop, 16):
                            page = word(tables + 8 * (table + block // 16))
                            scales = values + (page * kv_heads + kv_head) * value_page
                            scales += 16 * value_bytes + 16 * chunk
                            if first == 0 and chunk == 0 and block + STEP < limit:
                                page = word(tables + 8 * (table + (block + STEP) // 16))
                                soon = keys + (page * kv_heads + kv_head + 1) * key_page
                                for line in range(scales_bytes(d_key), 0, -64):
                                    prefetch(soon - line, 64)
                            at = 4 * (block - step)
                            weigh(p + at, row_bytes, scales, weights + at)
                        p = weights
                    for block in range(step, stop, 16):
                        page = word(tables + 8 * (table + block // 16))
                        at = values + (page * kv_heads + kv_head) * value_page + chunk_bytes * chunk
                        if block + STEP < limit:
                            page = word(tables + 8 * (table + (block + STEP) // 16))
                        soon = keys + (page * kv_heads + kv_head) * key_page
                        soon += chunk * 16 * key_bytes
                        for _ in range(min(16, stop - block)):
                            if nibbles:
                                one = load("low4", at) - same(8)
                                two = load("high4", at) - same(8)
                            else:
                                one, two = load(loaded, at), load(loaded, at + next_one)
                            mixed = tile_fma(count, mixed, one, p, row_bytes)
                            mixed_too = tile_fma(count, mixed_too, two, p, row_bytes)
                            if first == 0:
                                prefetch(soon, two_rows)
                            soon += two_rows
                            at += value_bytes
                            p += 4
                    save_tile(count, mixed_too, aside, 64)
                    save_tile(count, mixed, to, 64)

    return native(6)(attend)


@family
def attention(kind: str) -> Any:
    """The kernel for one query tile's queries with the heads of one cached head, or one split of
    them. kind: of keys and values; all floats are alike here."""
    coded = kind in (CODES8, CODES4)
    put_codes = put_nibble_query if kind == CODES4 else put_query

    def attend(arguments, job, thread):  # type: ignore[no-untyped-def]
        (tiles, _, splits_at, heads, kv_heads, d_key, d_value, q, q_stride, _, _, _, _, scale,
         window, _, _, _, scratch, scratch_size, partials, partial_size, few, many) = words(
            arguments, 24
        )  # fmt: skip
        splits = word(splits_at)
        split = job % splits
        kv_head = job // splits % kv_heads
        tile = tiles + TILE_BYTES * (job // splits // kv_heads)
        start, queries, position = word(tile), word(tile + 8), word(tile + 16)
        group = heads // kv_heads
        rows = queries * group
        count = tile_rows(rows)
        kernel = few if count == FEW else many
        room = (rows + 15) // 16 * 16
        chunks = (d_value + 15) // 16
        mine = scratch + thread * scratch_size
        length = max(position + queries, word(tile + 32))
        lowest = first_seen(position, window) // SPLIT
        last = (length + SPLIT - 1) // SPLIT
        factor = number("f32", scale)
        for row in range((rows + count - 1) // count * count):
            to = mine + 4 * ((row - row % count) * d_key + row % count)
            which = min(row, rows - 1)  # what fills up a tile may be anything that is finite
            at = q + (start + which // group) * q_stride
            at += 4 * (kv_head * group + which % group) * d_key
            if coded:
                put_codes(at, d_key, factor, to, count)
            else:
                for i in range(d_key):
                    value = np.float32(0)
                    if row < rows:
                        value = number("f32", at + 4 * i) * factor
                    put("f32", to + 4 * i * count, value)
        most = mine + 4 * room * (d_key + STEP)
        size = 8 * room + 64 * ((rows + count - 1) // count * count) * chunks
        if splits == 1:
            call_attention(
                kernel, arguments, mine, tile, kv_head, lowest * SPLIT, lowest * SPLIT + SPLIT
            )
            if last - lowest > 1:
                whole = most + size
                copy(most, whole, size)
                for s in range(lowest + 1, last):
                    call_attention(
                        kernel, arguments, mine, tile, kv_head, s * SPLIT, s * SPLIT + SPLIT
                    )
                    merge(whole, most, count, rows, chunks)
                most = whole
            finish(most, tile, kv_head, arguments, count)
        elif lowest <= split < last:
            call_attention(
                kernel, arguments, mine, tile, kv_head, split * SPLIT, split * SPLIT + SPLIT
            )
            copy(most, partials + job * partial_size, size)

    return native(3)(attend)
