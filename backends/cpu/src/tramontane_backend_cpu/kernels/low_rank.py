"""What adapters add to products: for vectors of several adapters, each with its own matrices.

    out[v] = sum of factor * second (first x[v])      over the pairs of the vector's adapters

A pair's factor is one for all vectors, or one of the vector's own, its share.

first: (rank, columns), as it lies. second: (blocks of 16 rows, rank, 16). A job is a run of vectors
that have the same adapters. A vector's sums do not depend on what else is in its run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import family, native, njit
from tramontane_backend_cpu.vector.arithmetic import fma, same
from tramontane_backend_cpu.vector.gemm_tile import outer_sum, outer_sum_some, put_sums, zeros
from tramontane_backend_cpu.vector.memory import (
    load,
    load_some,
    number,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.target import SET

FIELDS = (
    "runs", "directory", "module", "input", "input_stride", "columns", "out", "stride", "rows",
    "scratch", "scratch_bytes", "shares",
)  # fmt: skip
"""runs: address of (first vector, vectors, slot) of each job. directory: of the address, for each
slot, of a table that has for each module the address of its pairs, or 0. scratch: of
`scratch_bytes` for each thread: 4 * MOST * rank. shares: of the address of each vector's shares,
float32, for vectors whose pairs have any."""
PAIR = ("first", "first_kind", "second", "second_kind", "rank", "factor", "share")
"""Of a list of pairs, behind their number. kinds: places in KINDS. factor: address of a float32.
share: which of a vector's shares is the factor instead; -1: none."""
KINDS = ("f32", "bf16", "f16")
MOST = 8
"""Vectors of a run."""
WIDTH = 16
"""Rows of a block."""


def tile() -> tuple[int, int]:
    """Rows of `first` by vectors: adapters mostly have few vectors."""
    across, deep = SET.dense_tile
    return (4, 2) if across * deep >= 8 else (2, 2)


@njit(inline="always")
def narrowed(kind, size, across, deep, w, rank, x, x_stride, columns, count, out):  # type: ignore[no-untyped-def]
    """out[v] = first x[v], (vectors, rank)."""
    w_stride, whole = columns * size, columns // 16 * 16
    for row in range(0, rank, across):
        here = min(across, rank - row)
        at = w + row * w_stride
        for v in range(0, count, deep):
            vectors = min(deep, count - v)
            total = zeros(across, deep)
            given = x + v * x_stride
            for i in range(0, whole, 16):
                total = outer_sum(
                    kind, across, deep, total, at, w_stride, here, given, x_stride, vectors, i
                )
            if whole < columns:
                total = outer_sum_some(
                    kind, across, deep, total, at, w_stride, here, given, x_stride, vectors, whole,
                    columns - whole,
                )  # fmt: skip
            to = out + 4 * (v * rank + row)
            put_sums(across, deep, total, here, vectors, to, 4 * rank, 0, row, 0)


@njit(inline="always")
def widened(kind, size, second, rank, factor, share, shares, narrow, count, out, stride, rows, add):  # type: ignore[no-untyped-def]
    """out[v] = factor * second narrow[v]; add: out[v] += ..."""
    step = size * 16
    for i in range(0, rows, 16):
        left = min(16, rows - i)
        block = second + (i // 16) * rank * step
        for v in range(count):
            total = same(np.float32(0))
            at = narrow + 4 * v * rank
            for r in range(rank):
                total = fma(same(number("f32", at + 4 * r)), load(kind, block + r * step), total)
            to = out + v * stride + 4 * i
            given = factor if share < 0 else word(shares + 8 * v) + 4 * share
            total = total * same(number("f32", given))
            if add > 0:
                total = load_some("f32", to, left) + total
            store_some("f32", to, total, left)


@njit(inline="always")
def cleared(count, out, stride, rows):  # type: ignore[no-untyped-def]
    """out[v] = 0."""
    for v in range(count):
        for i in range(0, rows, 16):
            store_some("f32", out + v * stride + 4 * i, same(np.float32(0)), min(16, rows - i))


@family
def add_low_rank(across: int, deep: int) -> Any:
    """The kernel, for a tile of rows by vectors."""

    def add(arguments, job, thread):  # type: ignore[no-untyped-def]
        (runs, directory, module, x, x_stride, columns, out, stride, rows, scratch,
         scratch_bytes, shares) = words(arguments, 12)  # fmt: skip
        begin, count, slot = words(runs + 24 * job, 3)
        pairs = word(word(directory + 8 * slot) + 8 * module)
        narrow = scratch + thread * scratch_bytes
        given, to = x + begin * x_stride, out + begin * stride
        many = 0 if pairs == 0 else word(pairs)
        if many == 0:
            cleared(count, to, stride, rows)
        for pair in range(many):
            w, kind, second, second_kind, rank, factor, share = words(pairs + 8 + 56 * pair, 7)
            if kind == 0:
                narrowed("f32", 4, across, deep, w, rank, given, x_stride, columns, count, narrow)
            elif kind == 1:
                narrowed("bf16", 2, across, deep, w, rank, given, x_stride, columns, count, narrow)
            else:
                narrowed("f16", 2, across, deep, w, rank, given, x_stride, columns, count, narrow)
            its = shares + 8 * begin
            if second_kind == 0:
                widened(
                    "f32", 4, second, rank, factor, share, its, narrow, count, to, stride, rows,
                    pair,
                )  # fmt: skip
            elif second_kind == 1:
                widened(
                    "bf16", 2, second, rank, factor, share, its, narrow, count, to, stride, rows,
                    pair,
                )  # fmt: skip
            else:
                widened(
                    "f16", 2, second, rank, factor, share, its, narrow, count, to, stride, rows,
                    pair,
                )  # fmt: skip

    return native(3)(add)
