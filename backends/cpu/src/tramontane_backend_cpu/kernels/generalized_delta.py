"""RWKV-7's recurrence, S = decay * S + b ⊗ (aᵀ S) + k ⊗ v, token after token.

A job is one sequence's tokens for some columns of a head's state, as in `recurrent`, with the same
`spans`. All numbers are float32; `stride` fields are bytes from one row to the next.
"""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector.arithmetic import fma, same
from tramontane_backend_cpu.vector.memory import (
    load,
    load_some,
    number,
    store,
    store_some,
    word,
    words,
)

from .recurrent import COLUMNS, SPAN_WORDS

FIELDS = (
    "spans", "blocks", "q", "q_stride", "k", "k_stride", "v", "v_stride", "decay", "decay_stride",
    "a", "a_stride", "b", "b_stride", "out", "out_stride", "state", "slot_bytes", "heads", "d_key",
    "d_value",
)  # fmt: skip
"""state: (slots, heads, d_key, d_value). blocks: jobs for each head of each sequence."""


@native(3)
def generalized_delta_rule(arguments, job, thread):  # type: ignore[no-untyped-def]
    """See `tramontane.recurrence.generalized_delta_rule`."""
    (spans, blocks, q, q_stride, k, k_stride, v, v_stride, decay, decay_stride, a, a_stride, b,
     b_stride, out, out_stride, state, slot_bytes, heads, d_key,
     d_value) = words(arguments, 21)  # fmt: skip
    span = spans + 8 * SPAN_WORDS * (job // (blocks * heads))
    start, count, begins = word(span), word(span + 8), word(span + 24)
    head = job // blocks % heads
    first = job % blocks * COLUMNS
    row_bytes, key_at = 4 * d_value, 4 * d_key * head
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
            queries, keys = q + row * q_stride + key_at, k + row * k_stride + key_at
            factors = decay + row * decay_stride + key_at
            reads, writes = a + row * a_stride + key_at, b + row * b_stride + key_at
            value = v + row * v_stride + 4 * (head * d_value + c)
            to = out + row * out_stride + 4 * (head * d_value + c)
            if whole:
                v0, v1 = load("f32", value), load("f32", value + 64)
                v2, v3 = load("f32", value + 128), load("f32", value + 192)
                e0, e1, e2, e3 = same(0), same(0), same(0), same(0)
                for i in range(d_key):
                    read = same(number("f32", reads + 4 * i))
                    at = s + i * row_bytes
                    e0 = fma(load("f32", at), read, e0)
                    e1 = fma(load("f32", at + 64), read, e1)
                    e2 = fma(load("f32", at + 128), read, e2)
                    e3 = fma(load("f32", at + 192), read, e3)
                o0, o1, o2, o3 = same(0), same(0), same(0), same(0)
                for i in range(d_key):
                    f = same(number("f32", factors + 4 * i))
                    write = same(number("f32", writes + 4 * i))
                    key = same(number("f32", keys + 4 * i))
                    query = same(number("f32", queries + 4 * i))
                    at = s + i * row_bytes
                    s0 = fma(key, v0, fma(write, e0, load("f32", at) * f))
                    s1 = fma(key, v1, fma(write, e1, load("f32", at + 64) * f))
                    s2 = fma(key, v2, fma(write, e2, load("f32", at + 128) * f))
                    s3 = fma(key, v3, fma(write, e3, load("f32", at + 192) * f))
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
                values = load_some("f32", value, lanes)
                e = same(0)
                for i in range(d_key):
                    at = s + i * row_bytes
                    e = fma(load_some("f32", at, lanes), same(number("f32", reads + 4 * i)), e)
                o = same(0)
                for i in range(d_key):
                    at = s + i * row_bytes
                    t = load_some("f32", at, lanes) * same(number("f32", factors + 4 * i))
                    t = fma(same(number("f32", writes + 4 * i)), e, t)
                    t = fma(same(number("f32", keys + 4 * i)), values, t)
                    store_some("f32", at, t, lanes)
                    o = fma(t, same(number("f32", queries + 4 * i)), o)
                store_some("f32", to, o, lanes)
        c += 64 if whole else 16
