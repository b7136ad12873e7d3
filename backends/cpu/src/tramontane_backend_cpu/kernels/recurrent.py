"""Recurrences: what a sequence's state becomes, token after token, so that the result does not
depend on where a prompt is cut.

A job is one sequence's tokens for some channels, or for some columns of a head's state, which stay
in the core's cache from token to token. `spans` holds for each sequence of the step: first row,
rows, slot of its states, 1 where the sequence begins (its states are zeros then). All numbers are
float32; `stride` fields are bytes from one row to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.arithmetic import exp, fma, same
from tramontane_backend_cpu.vector.memory import (
    load,
    load_some,
    number,
    store,
    store_some,
    word,
    words,
)

SPAN_WORDS = 4
CHANNELS = 64
"""Channels of a job of the convolution."""
COLUMNS = 64
"""Columns of a state in a job: four registers, whose sums do not wait for each other."""
CONV_FIELDS = (
    "spans", "blocks", "x", "x_stride", "out", "out_stride", "weight", "bias", "state",
    "slot_bytes", "channels", "width",
)  # fmt: skip
"""weight: (width, channels), the last row for the token itself. bias: (channels), or 0. state:
(slots, width - 1, channels), the oldest first. blocks: jobs for each sequence."""
RULE_FIELDS = (
    "spans", "blocks", "q", "q_stride", "k", "k_stride", "v", "v_stride", "decay", "decay_stride",
    "beta", "beta_stride", "out", "out_stride", "state", "slot_bytes", "heads", "key_heads",
    "d_key", "d_value", "tiled",
)  # fmt: skip
"""state: (slots, heads, d_key, d_value). blocks: jobs for each head of each sequence. tiled: 1
where head i belongs to key head i modulo their count, 0 where heads of one are consecutive."""
SCAN_FIELDS = (
    "spans", "blocks", "x", "x_stride", "dt", "dt_stride", "a", "b", "b_stride", "c", "c_stride",
    "out", "out_stride", "state", "slot_bytes", "channels", "d_state",
)  # fmt: skip
"""a: (d_state, channels). state: (slots, d_state, channels). blocks: jobs for each sequence."""


@native(3)
def selective_scan(arguments, job, thread):  # type: ignore[no-untyped-def]
    """A state of each channel by itself. See `tramontane.recurrence.selective_scan`."""
    (spans, blocks, x, x_stride, dt, dt_stride, a, b, b_stride, c, c_stride, out, out_stride, state,
     slot_bytes, channels, d_state) = words(arguments, 17)  # fmt: skip
    span = spans + 8 * SPAN_WORDS * (job // blocks)
    start, count, begins = word(span), word(span + 8), word(span + 24)
    held = state + word(span + 16) * slot_bytes
    row_bytes = 4 * channels
    first = job % blocks * CHANNELS
    for channel in range(first, min(channels, first + CHANNELS), 16):
        lanes, aside = min(16, channels - channel), 4 * channel
        if begins:
            for i in range(d_state):
                store_some("f32", held + i * row_bytes + aside, same(0), lanes)
        for row in range(start, start + count):
            time = load_some("f32", dt + row * dt_stride + aside, lanes)
            taken = time * load_some("f32", x + row * x_stride + aside, lanes)
            rows_b, rows_c = b + row * b_stride, c + row * c_stride
            total = same(0)
            for i in range(d_state):
                at = held + i * row_bytes + aside
                decay = exp(time * load_some("f32", a + i * row_bytes + aside, lanes))
                s = load_some("f32", at, lanes) * decay
                s = fma(taken, same(number("f32", rows_b + 4 * i)), s)
                store_some("f32", at, s, lanes)
                total = fma(s, same(number("f32", rows_c + 4 * i)), total)
            store_some("f32", out + row * out_stride + aside, total, lanes)


@native(3)
def short_conv(arguments, job, thread):  # type: ignore[no-untyped-def]
    """out = the sum over the last `width` inputs, the oldest first, times each channel's weights.
    See `tramontane.recurrence.short_conv`."""
    (spans, blocks, x, x_stride, out, out_stride, weight, bias, state, slot_bytes, channels,
     width) = words(arguments, 12)  # fmt: skip
    span = spans + 8 * SPAN_WORDS * (job // blocks)
    start, count, begins = word(span), word(span + 8), word(span + 24)
    held = state + word(span + 16) * slot_bytes
    row_bytes, before = 4 * channels, width - 1
    first = job % blocks * CHANNELS
    for c in range(first, min(channels, first + CHANNELS), 16):
        lanes = min(16, channels - c)
        rows = x + start * x_stride + 4 * c
        to = out + start * out_stride + 4 * c
        old = held + 4 * c
        for row in range(count):
            total = same(0)
            for tap in range(width):
                place = row + tap - before
                taps = load_some("f32", weight + tap * row_bytes + 4 * c, lanes)
                if place >= 0:
                    seen = load_some("f32", rows + place * x_stride, lanes)
                elif begins:
                    seen = same(0)
                else:
                    seen = load_some("f32", old + (place + before) * row_bytes, lanes)
                total = total + seen * taps
            if bias != 0:
                total = total + load_some("f32", bias + 4 * c, lanes)
            store_some("f32", to + row * out_stride, total, lanes)
        for place in range(before):
            # from the oldest: what is read lies behind what was written
            row = place + count - before
            if row >= 0:
                seen = load_some("f32", rows + row * x_stride, lanes)
            elif begins:
                seen = same(0)
            else:
                seen = load_some("f32", old + (place + count) * row_bytes, lanes)
            store_some("f32", old + place * row_bytes, seen, lanes)


@family
def delta_rule(keyed: bool, corrects: bool) -> Any:
    """The kernel of linear attention with decay. keyed: a factor for each row of a state, instead
    of one for all. corrects: whether a value is what the state lacks, times beta, not itself. See
    `tramontane.recurrence.delta_rule`."""

    def rule(arguments, job, thread):  # type: ignore[no-untyped-def]
        (spans, blocks, q, q_stride, k, k_stride, v, v_stride, decay, decay_stride, beta,
         beta_stride, out, out_stride, state, slot_bytes, heads, key_heads, d_key, d_value,
         tiled) = words(arguments, 21)  # fmt: skip
        span = spans + 8 * SPAN_WORDS * (job // (blocks * heads))
        start, count, begins = word(span), word(span + 8), word(span + 24)
        head = job // blocks % heads
        first = job % blocks * COLUMNS
        key_head = head % key_heads if tiled else head // (heads // key_heads)
        key_at = 4 * d_key * key_head
        row_bytes = 4 * d_value
        held = state + word(span + 16) * slot_bytes + head * d_key * row_bytes
        c, last = first, min(d_value, first + COLUMNS)
        while c < last:
            whole = last - c >= 64
            lanes = min(16, last - c)
            s = held + 4 * c
            if begins:
                for i in range(d_key):
                    if whole:
                        store("f32", s + i * row_bytes, same(0))
                        store("f32", s + i * row_bytes + 64, same(0))
                        store("f32", s + i * row_bytes + 128, same(0))
                        store("f32", s + i * row_bytes + 192, same(0))
                    else:
                        store_some("f32", s + i * row_bytes, same(0), lanes)
            for row in range(start, start + count):
                keys, queries = k + row * k_stride + key_at, q + row * q_stride + key_at
                value = v + row * v_stride + 4 * (head * d_value + c)
                to = out + row * out_stride + 4 * (head * d_value + c)
                if keyed:
                    factors = decay + row * decay_stride + 4 * head * d_key
                    f = same(0)
                else:
                    factors = decay + row * decay_stride + 4 * head
                    f = same(number("f32", factors))
                rate = same(np.float32(1))
                if corrects:
                    rate = same(number("f32", beta + row * beta_stride + 4 * head))
                if whole:
                    d0, d1 = load("f32", value), load("f32", value + 64)
                    d2, d3 = load("f32", value + 128), load("f32", value + 192)
                    if corrects:
                        a0, a1, a2, a3 = same(0), same(0), same(0), same(0)
                        for i in range(d_key):
                            if keyed:
                                f = same(number("f32", factors + 4 * i))
                            key = same(number("f32", keys + 4 * i)) * f
                            at = s + i * row_bytes
                            a0 = fma(load("f32", at), key, a0)
                            a1 = fma(load("f32", at + 64), key, a1)
                            a2 = fma(load("f32", at + 128), key, a2)
                            a3 = fma(load("f32", at + 192), key, a3)
                        d0, d1 = (d0 - a0) * rate, (d1 - a1) * rate
                        d2, d3 = (d2 - a2) * rate, (d3 - a3) * rate
                    o0, o1, o2, o3 = same(0), same(0), same(0), same(0)
                    for i in range(d_key):
                        if keyed:
                            f = same(number("f32", factors + 4 * i))
                        key = same(number("f32", keys + 4 * i))
                        query = same(number("f32", queries + 4 * i))
                        at = s + i * row_bytes
                        s0 = fma(key, d0, load("f32", at) * f)
                        s1 = fma(key, d1, load("f32", at + 64) * f)
                        s2 = fma(key, d2, load("f32", at + 128) * f)
                        s3 = fma(key, d3, load("f32", at + 192) * f)
                        store("f32", at, s0)
                        store("f32", at + 64, s1)
                        store("f32", at + 128, s2)
                        store("f32", at + 192, s3)
                        o0, o1 = fma(s0, query, o0), fma(s1, query, o1)
                        o2, o3 = fma(s2, query, o2), fma(s3, query, o3)
                    store("f32", to, o0)
                    store("f32", to + 64, o1)
                    store("f32", to + 128, o2)
                    store("f32", to + 192, o3)
                else:
                    d = load_some("f32", value, lanes)
                    if corrects:
                        a = same(0)
                        for i in range(d_key):
                            if keyed:
                                f = same(number("f32", factors + 4 * i))
                            key = same(number("f32", keys + 4 * i)) * f
                            a = fma(load_some("f32", s + i * row_bytes, lanes), key, a)
                        d = (d - a) * rate
                    o = same(0)
                    for i in range(d_key):
                        if keyed:
                            f = same(number("f32", factors + 4 * i))
                        at = s + i * row_bytes
                        key = same(number("f32", keys + 4 * i))
                        t = fma(key, d, load_some("f32", at, lanes) * f)
                        store_some("f32", at, t, lanes)
                        o = fma(t, same(number("f32", queries + 4 * i)), o)
                    store_some("f32", to, o, lanes)
            c += 64 if whole else 16

    return native(3)(rule)
