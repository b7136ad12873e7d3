"""Plain matrices as they lie in memory, times few vectors or many.

A tile of R rows times T vectors shares every load. Products of bfloat16 are summed in pairs where
the processor does that and quantized activations are allowed; everything else is in float32.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector.chosen import SET
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    load_some,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.outer import WIDE, outer_sum, outer_sum_some, put_sums, zeros

FIELDS = (
    "count", "rows", "panel", "columns", "weight", "weight_stride", "input", "input_stride",
    "vectors_at_once", "out", "stride", "bias", "add",
)  # fmt: skip
"""count: address of the number of vectors. panel: rows per job. input: vectors as the kernel wants
them, `input_stride` bytes apart. The others as in `matmul.py`."""
DEPTH = 2048
"""Columns at a time: a tile's rows and vectors stay in the first-level cache."""
ROUND_FIELDS = ("x", "stride", "out", "out_stride", "columns")


@cache
def dense_kernel(kind: str) -> Any:
    """The kernel for a kind of weights: f32, f16, bf16, or "bf16.bf16": both sides bfloat16."""
    across, deep = SET.dense_tile
    step = WIDE[kind]

    def matmul(arguments, job, thread):  # type: ignore[no-untyped-def]
        (count_at, rows, panel, columns, weight, weight_stride, x, x_stride, at_once, out, stride,
         bias, add) = words(arguments, 13)  # fmt: skip
        count = word(count_at)
        begin, end = job * panel, min(rows, (job + 1) * panel)
        for some in range(0, count, at_once):
            stop = min(count, some + at_once)
            for left in range(0, columns, DEPTH):
                right = min(columns, left + DEPTH)
                whole = left + (right - left) // step * step
                # the first stretch of columns brings the bias, the others add to it
                more, offset = (add, bias) if left == 0 else (1, 0)
                for row in range(begin, end, across):
                    for first in range(some, stop, deep):
                        rows_here, here = min(across, end - row), min(deep, stop - first)
                        w, v = weight + row * weight_stride, x + first * x_stride
                        total = zeros(kind)
                        for i in range(left, whole, step):
                            total = outer_sum(
                                kind, total, w, weight_stride, rows_here, v, x_stride, here, i
                            )
                        if whole < right:
                            total = outer_sum_some(
                                kind, total, w, weight_stride, rows_here, v, x_stride, here, whole,
                                right - whole,
                            )  # fmt: skip
                        to = out + first * stride + 4 * row
                        put_sums(kind, total, rows_here, here, to, stride, offset, row, more)

    return native(3)(matmul)


@native(3)
def round_bf16(arguments, first, last):  # type: ignore[no-untyped-def]
    """Vectors of float32 as bfloat16."""
    x, stride, out, out_stride, columns = words(arguments, 5)
    for row in range(first, last):
        for i in range(0, columns, 16):
            left = min(16, columns - i)
            v = load_some("f32", x + row * stride + 4 * i, left)
            store_some("bf16", out + row * out_stride + 2 * i, v, left)


@cache
def lookup(kind: str) -> Any:
    """The kernel that reads rows of a plain table."""
    size = SIZES[kind]

    def read(arguments, first, last):  # type: ignore[no-untyped-def]
        tokens, table, columns, out, stride = words(arguments, 5)
        for row in range(first, last):
            at = table + word(tokens + 8 * row) * columns * size
            for i in range(0, columns, 16):
                left = min(16, columns - i)
                store_some(
                    "f32", out + row * stride + 4 * i, load_some(kind, at + size * i, left), left
                )

    return native(3)(read)
