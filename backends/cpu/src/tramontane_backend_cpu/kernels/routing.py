"""Which experts each vector goes to, and in what order the vectors lie for them.

A job routes one vector; whoever routes the last one sorts them all by expert, so that there is no
barrier between. Of equal scores the first is chosen, as in `tramontane.blocks.routing`.

What the sorting leaves, in 64-bit integers:

    line       how many vectors are routed so far
    experts    how many vectors each has, the first of them among the sorted ones, where they begin
               among the vectors that go in and among those between its matrices, a counter
    active     the experts that have any, in order
    places     of each vector, and each expert that it goes to: its number among the sorted ones
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import family, native, njit
from tramontane_backend_cpu.vector.arithmetic import exp, lane_most, lane_sum, larger, only, same
from tramontane_backend_cpu.vector.memory import (
    load,
    load_some,
    number,
    put,
    put_short_word,
    put_word,
    short_word,
    store,
    word,
    words,
)
from tramontane_backend_cpu.vector.parallel import announce, call_kernel, fetch_add

FIELDS = (
    "scores", "scores_stride", "experts", "k", "groups", "taken", "normalize", "scale", "balance",
    "factors", "out", "out_stride", "memory", "memory_bytes", "sorting", "count", "counts",
    "gather", "gathered", "tile", "apart",
)  # fmt: skip
"""scores: float32, one for each expert. groups, taken: groups of experts, and how many a vector
goes to. balance, factors: addresses of a float32 per expert, or 0. out: k weights, then k experts
as int32. memory: of each thread, see `memory_bytes`. count: address of the number of vectors.
counts: where to write how many experts have any, and how many vectors are still to be gathered.
gather, gathered: the kernel that does so, and its arguments. tile: vectors in a whole tile. apart:
whether each expert wants a vector in another order."""
LEAST = np.float32(-3.4e38)
NOTHING = np.float32("-inf")
LINE, EXPERT = 64, 40
"""Bytes before the experts' numbers, and of each expert's."""
COUNT, BEGIN, INPUT, MIDDLE, SEEN = range(0, 40, 8)
FEW = 2
"""Vectors that are gathered at once by the thread that sorts them."""


def sorting_words(experts: int, k: int, vectors: int) -> int:
    """How many 64-bit integers a sorting takes."""
    return LINE // 8 + experts * EXPERT // 8 + experts + vectors * k


def memory_bytes(experts: int) -> int:
    """A thread's memory: what is chosen by, what weights are made of, the best of 16 and of each
    group."""
    return 4 * (2 * _padded(experts) + 2 * _padded(experts))


def _padded(experts: int) -> int:
    return -(-experts // 16) * 16


@family
def router(sigmoid: bool) -> Any:
    """The kernel for scores by softmax, or by sigmoid."""

    def route(arguments, job, thread):  # type: ignore[no-untyped-def]
        (scores, scores_stride, experts, k, groups, taken, normalize, scale, balance,
         factors, out, out_stride, memory, memory_bytes, sorting, count_at, counts, gather,
         gathered, tile, apart) = words(arguments, 21)  # fmt: skip
        chunks = (experts + 15) // 16
        keys = memory + thread * memory_bytes
        likely, best = keys + 64 * chunks, keys + 128 * chunks
        a, b = scores + job * scores_stride, out + job * out_stride
        total = np.float32(1)
        if sigmoid:
            sigmoids(a, balance, keys, likely, experts)
        else:
            total = exponentials(a, keys, likely, experts)
            if balance != 0:
                balanced(likely, total, balance, keys, experts)
        if groups > 1:
            keep_best_groups(keys, best, experts, groups, taken, sigmoid)
        choose(keys, best, chunks, b + 4 * k, k)
        summed = np.float32(0)
        for j in range(k):
            weight = number("f32", likely + 4 * short_word(b + 4 * (k + j))) / total
            put("f32", b + 4 * j, weight)
            summed += weight
        for j in range(k):
            weight = number("f32", b + 4 * j)
            if normalize != 0:
                weight = weight / summed
            weight = weight * number("f32", scale)
            if factors != 0:
                weight = weight * number("f32", factors + 4 * short_word(b + 4 * (k + j)))
            put("f32", b + 4 * j, weight)
        count = word(count_at)
        if fetch_add(sorting, 1) == count - 1:
            announce(sorting, 0)
            active = sort(sorting, experts, k, out + 4 * k, out_stride, count, tile, apart)
            put_word(counts, active)
            put_word(counts + 8, count if count > FEW else 0)
            if count <= FEW:
                for row in range(count):
                    call_kernel(gather, gathered, row, thread)

    return native(3)(route)


@njit
def exponentials(scores, keys, likely, experts):  # type: ignore[no-untyped-def]
    """Keys are the scores. likely: e^(score - the largest); returns their sum."""
    most = same(LEAST)
    for i in range(0, experts, 16):
        left = min(16, experts - i)
        # NaN come last
        v = larger(load_some("f32", scores + 4 * i, left), same(LEAST))
        v = only(v, 0, left)
        store("f32", keys + 4 * i, v)
        most = larger(v, most)
    peak = same(lane_most(most))
    total = same(0)
    for i in range(0, experts, 16):
        left = min(16, experts - i)
        v = exp(only(load_some("f32", scores + 4 * i, left), 0, left) - peak)
        store("f32", likely + 4 * i, v)
        total = total + v
    return lane_sum(total)


@njit
def balanced(likely, total, balance, keys, experts):  # type: ignore[no-untyped-def]
    """Keys are the softmax with the balance added."""
    for i in range(experts):
        p = number("f32", likely + 4 * i) / total
        key = p + number("f32", balance + 4 * i)
        put("f32", keys + 4 * i, key if key > LEAST else LEAST)
    for i in range(experts, (experts + 15) // 16 * 16):
        put("f32", keys + 4 * i, NOTHING)


@njit
def sigmoids(scores, balance, keys, likely, experts):  # type: ignore[no-untyped-def]
    """likely: 1 / (1 + e^-score), in float64. Keys have the balance added."""
    for i in range(experts):
        s = np.float64(number("f32", scores + 4 * i))
        p = np.float32(1.0 / (1.0 + math.exp(-s)))
        put("f32", likely + 4 * i, p)
        key = p + number("f32", balance + 4 * i)
        put("f32", keys + 4 * i, key if key > LEAST else LEAST)
    for i in range(experts, (experts + 15) // 16 * 16):
        put("f32", keys + 4 * i, NOTHING)


@njit
def keep_best_groups(keys, best, experts, groups, taken, pairs):  # type: ignore[no-untyped-def]
    """Experts that are in none of the best groups are out. pairs: a group counts as its two best
    experts instead of its best."""
    size = experts // groups
    for group in range(groups):
        first, second = NOTHING, NOTHING
        for i in range(group * size, (group + 1) * size):
            key = number("f32", keys + 4 * i)
            if key > first:
                first, second = key, first
            elif key > second:
                second = key
        score = first + second if pairs else first
        put("f32", best + 4 * group, score if score > LEAST else LEAST)
    for _ in range(taken):
        chosen = 0
        for group in range(groups):
            if number("f32", best + 4 * group) > number("f32", best + 4 * chosen):
                chosen = group

        put("f32", best + 4 * chosen, NOTHING)
    for group in range(groups):
        if number("f32", best + 4 * group) > NOTHING:
            for i in range(group * size, (group + 1) * size):
                put("f32", keys + 4 * i, NOTHING)


@njit
def choose(keys, best, chunks, out, k):  # type: ignore[no-untyped-def]
    """The k largest keys' numbers, largest first, int32. best: the largest of each 16 keys."""
    for i in range(chunks):
        put("f32", best + 4 * i, lane_most(load("f32", keys + 64 * i)))
    for j in range(k):
        chunk, most = 0, number("f32", best)
        for i in range(1, chunks):
            other = number("f32", best + 4 * i)
            if other > most:
                chunk, most = i, other
        place = 0
        while number("f32", keys + 64 * chunk + 4 * place) < most:
            place += 1
        put_short_word(out + 4 * j, 16 * chunk + place)
        put("f32", keys + 64 * chunk + 4 * place, NOTHING)
        put("f32", best + 4 * chunk, lane_most(load("f32", keys + 64 * chunk)))


@njit
def sort(sorting, experts, k, chosen, stride, count, tile, apart):  # type: ignore[no-untyped-def]
    """Write down where each expert's vectors are; returns how many experts have any."""
    table = sorting + LINE
    active = table + EXPERT * experts
    places = active + 8 * experts
    for expert in range(experts):
        put_word(table + EXPERT * expert + COUNT, 0)
        put_word(table + EXPERT * expert + SEEN, 0)
    for row in range(count):
        for j in range(k):
            at = table + EXPERT * short_word(chosen + row * stride + 4 * j) + COUNT
            put_word(at, word(at) + 1)
    # each vector has a place of its own, for experts that it is alone with
    begin, going_in, between, found = 0, count, 0, 0
    for expert in range(experts):
        at = table + EXPERT * expert
        here = word(at + COUNT)
        if here > 0:
            put_word(active + 8 * found, expert)
            found += 1
            put_word(at + BEGIN, begin)
            put_word(at + INPUT, going_in)
            put_word(at + MIDDLE, between)
            begin += here
            room = 1 if here == 1 else (here + tile - 1) // tile * tile
            between += room
            if here > 1 or apart != 0:
                going_in += room
    for row in range(count):
        for j in range(k):
            at = table + EXPERT * short_word(chosen + row * stride + 4 * j)
            seen = word(at + SEEN)
            put_word(at + SEEN, seen + 1)
            put_word(places + 8 * (row * k + j), word(at + BEGIN) + seen)
            if word(at + COUNT) == 1 and apart == 0:
                put_word(at + INPUT, row)
    return found
