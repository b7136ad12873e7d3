"""Plain matrices as they lie in memory, times few vectors or many.

A tile of R rows times T vectors shares every load. Products of bfloat16 are summed in pairs where
the processor does that and quantized activations are allowed; everything else is in float32.
"""

from __future__ import annotations

from typing import Any

from tramontane_backend_cpu.numba_setup import family, native, njit
from tramontane_backend_cpu.vector.gemm_tile import WIDE, outer_sum, outer_sum_some, put_sums, zeros
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    load_some,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.target import SET

FIELDS = (
    "count", "rows", "panel", "columns", "weight", "weight_stride", "input", "input_stride",
    "vectors_at_once", "out", "stride", "bias", "add",
)  # fmt: skip
"""count: address of the number of vectors. panel: rows per job. input: vectors as the kernel wants
them, `input_stride` bytes apart. The others as in `matmul.py`."""
ALONE = 2
"""Rows at a time for one vector: few, so that memory is read in one run."""
DEPTH = 2048
"""Columns at a time: a tile's rows and vectors stay in the first-level cache."""
ROUND_FIELDS = ("x", "stride", "out", "out_stride", "columns")


@njit(inline="always")
def multiply(kind, across, deep, step, arguments, row, rows, first, vectors, left):  # type: ignore[no-untyped-def]
    """A tile's products over DEPTH columns, added to what those before came to."""
    (_, _, _, columns, weight, weight_stride, x, x_stride, _, out, stride, bias,
     add) = words(arguments, 13)  # fmt: skip
    right = min(columns, left + DEPTH)
    whole = left + (right - left) // step * step
    w, v = weight + row * weight_stride, x + first * x_stride
    total = zeros(across, deep)
    for i in range(left, whole, step):
        total = outer_sum(
            kind, across, deep, total, w, weight_stride, rows, v, x_stride, vectors, i
        )
    if whole < right:
        total = outer_sum_some(
            kind, across, deep, total, w, weight_stride, rows, v, x_stride, vectors, whole,
            right - whole,
        )  # fmt: skip
    # the first stretch of columns brings the bias, the others add to it
    more, offset = (add, bias) if left == 0 else (1, 0)
    to = out + first * stride + 4 * row
    put_sums(across, deep, total, rows, vectors, to, stride, offset, row, more)


@family
def dense_kernel(kind: str) -> Any:
    """The kernel for a kind of weights: f32, f16, bf16, or "bf16.bf16": both sides bfloat16."""
    across, deep = SET.dense_tile
    step = WIDE[kind]

    def matmul(arguments, job, thread):  # type: ignore[no-untyped-def]
        count_at, rows, panel, columns, _, _, _, _, at_once, _, _, _, _ = words(arguments, 13)
        count = word(count_at)
        begin, end = job * panel, min(rows, (job + 1) * panel)
        for some in range(0, count, at_once):
            stop = min(count, some + at_once)
            for left in range(0, columns, DEPTH):
                if count == 1:
                    for row in range(begin, end, ALONE):
                        here = min(ALONE, end - row)
                        multiply(kind, ALONE, 1, step, arguments, row, here, 0, 1, left)
                else:
                    for row in range(begin, end, across):
                        here = min(across, end - row)
                        for first in range(some, stop, deep):
                            vectors = min(deep, stop - first)
                            multiply(
                                kind, across, deep, step, arguments, row, here, first, vectors,
                                left,
                            )  # fmt: skip

    return native(3)(matmul)


@family
def rounded(kind: str) -> Any:
    """The kernel that writes vectors of float32 as numbers of a kind."""
    size = SIZES[kind]

    def write(arguments, first, last):  # type: ignore[no-untyped-def]
        x, stride, out, out_stride, columns = words(arguments, 5)
        for row in range(first, last):
            for i in range(0, columns, 16):
                left = min(16, columns - i)
                v = load_some("f32", x + row * stride + 4 * i, left)
                store_some(kind, out + row * out_stride + size * i, v, left)

    return native(3)(write)


@family
def lookup(kind: str) -> Any:
    """The kernel that reads rows of a plain table of `count`; ids that are no less have row 0."""
    size = SIZES[kind]

    def read(arguments, first, last):  # type: ignore[no-untyped-def]
        tokens, table, columns, out, stride, count = words(arguments, 6)
        for row in range(first, last):
            asked = word(tokens + 8 * row)
            at = table + (asked if asked < count else 0) * columns * size
            for i in range(0, columns, 16):
                left = min(16, columns - i)
                store_some(
                    "f32", out + row * stride + 4 * i, load_some(kind, at + size * i, left), left
                )

    return native(3)(read)
