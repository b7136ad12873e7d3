"""Products with packed matrices, of one row and of thousands, by the same sums.

    out[i, j] = sum over c of x[i, c] W[j, c]

The columns are parted into splits, whose sums are added in order; how many is decided by the
matrix alone. Within a split, columns are added in order too, by matrix instructions of one shape.
So the bits of a row depend on nothing but itself: neither on how many rows there are, nor on
whether splits are programs of their own, as for few rows, or done one after the other.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl

from .weights import weights


@triton.jit(do_not_specialize=["m", "each"])
def product(
    x, out, order, tiles,
    plane0, plane1, scale, zero, minimum, above, above_minimum, table,
    m, n, columns, each, part_rows, factor,
    KIND: tl.constexpr, WIDTH0: tl.constexpr, WIDTH1: tl.constexpr, GROUP: tl.constexpr,
    ABOVE: tl.constexpr, ABOVE_MINIMUM: tl.constexpr, DIVIDES: tl.constexpr, ZERO: tl.constexpr,
    ZEROS: tl.constexpr, MINIMUM: tl.constexpr, FACTOR: tl.constexpr, ORDER: tl.constexpr,
    STACKED: tl.constexpr, SPLIT: tl.constexpr, DOT: tl.constexpr, M: tl.constexpr,
    N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """x: (m, columns). out: (m, n), or of each program along the third axis float32 (m, n).

    each: splits, of SPLIT columns, that a program does. STACKED: W is several matrices of n rows
    below each other, and tiles, int32 (tiles, 3), says of a tile's rows which matrix they are
    multiplied with, the first, and the end. ORDER: column c of W is column order[p, c] of x, with p
    the row of W divided by part_rows. DOT: the type of factors; sums are float32.
    """
    matrix, begin, end = 0, tl.program_id(1) * M, m
    if STACKED:
        place = tiles + tl.program_id(1) * 3
        matrix, begin, end = tl.load(place), tl.load(place + 1), tl.load(place + 2)
    row = begin + tl.arange(0, M)
    asked = row < end
    height = tl.program_id(0) * N + tl.arange(0, N)
    inside = height < n
    base = tl.cast(matrix, tl.int64) * n
    line = base + height
    total = tl.zeros((M, N), tl.float32)
    first_split = tl.program_id(2) * each
    for split in range(first_split, first_split + each):
        part = tl.zeros((M, N), tl.float32)
        for first in range(split * SPLIT, tl.minimum(split * SPLIT + SPLIT, columns), K):
            column = first + tl.arange(0, K)
            known = asked[:, None] & (column < columns)[None, :]
            if ORDER:
                at = (base + tl.program_id(0) * N) // part_rows * columns
                column = tl.load(order + at + column, column < columns, other=0)
            start = row[:, None].to(tl.int64) * columns
            left = tl.load(x + start + column[None, :], known, other=0)
            right = weights(
                plane0, plane1, scale, zero, minimum, above, above_minimum, table,
                line, inside, first, columns, factor, KIND, WIDTH0, WIDTH1, GROUP, ABOVE,
                ABOVE_MINIMUM, DIVIDES, ZERO, ZEROS, MINIMUM, FACTOR, N, K,
            )  # fmt: skip
            part = tl.dot(left.to(DOT), tl.trans(right.to(DOT)), part, input_precision="ieee")
        total += part
    at = (tl.program_id(2) * m + row)[:, None].to(tl.int64) * n + height[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), asked[:, None] & inside[None, :])


@triton.jit(do_not_specialize=["count"])
def add_splits(parts, out, count, SPLITS: tl.constexpr, SIZE: tl.constexpr):
    """out (count) = the sum of parts (SPLITS, count) float32, in their order."""
    at = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    total = tl.zeros((SIZE,), tl.float32)
    for split in range(SPLITS):
        total += tl.load(parts + split * tl.cast(count, tl.int64) + at, at < count, other=0)
    tl.store(out + at, total.to(out.dtype.element_ty), at < count)


@triton.jit(do_not_specialize=["count"])
def table_rows(
    tokens, out, order,
    plane0, plane1, scale, zero, minimum, above, above_minimum, table,
    count, columns, part_rows, factor,
    KIND: tl.constexpr, WIDTH0: tl.constexpr, WIDTH1: tl.constexpr, GROUP: tl.constexpr,
    ABOVE: tl.constexpr, ABOVE_MINIMUM: tl.constexpr, DIVIDES: tl.constexpr, ZERO: tl.constexpr,
    ZEROS: tl.constexpr, MINIMUM: tl.constexpr, FACTOR: tl.constexpr, ORDER: tl.constexpr,
    M: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """out (count, columns): rows `tokens`, int64 (count), of a matrix. Arguments: see `product`."""
    row = tl.program_id(0) * M + tl.arange(0, M)
    asked = row < count
    line = tl.load(tokens + row, asked, other=0).to(tl.int64)
    first = tl.program_id(1) * K
    numbers = weights(
        plane0, plane1, scale, zero, minimum, above, above_minimum, table,
        line, asked, first, columns, factor, KIND, WIDTH0, WIDTH1, GROUP, ABOVE,
        ABOVE_MINIMUM, DIVIDES, ZERO, ZEROS, MINIMUM, FACTOR, M, K,
    )  # fmt: skip
    column = first + tl.arange(0, K)[None, :] + tl.zeros((M, 1), tl.int32)
    known = asked[:, None] & (column < columns)
    if ORDER:
        column = tl.load(order + (line // part_rows * columns)[:, None] + column, known, other=0)
    at = row[:, None].to(tl.int64) * columns + column
    tl.store(out + at, numbers.to(out.dtype.element_ty), known)
