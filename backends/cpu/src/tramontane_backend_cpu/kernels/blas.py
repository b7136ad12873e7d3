"""Products by a BLAS library, as `tramontane.native_product.NativeProduct` says it."""

from __future__ import annotations

from typing import Any

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.blas import add_column, call_gemm, put_columns
from tramontane_backend_cpu.vector.gemm_tile import zeros
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    load,
    load_some,
    prefetch,
    store,
    store_some,
    word,
    words,
)
from tramontane_backend_cpu.vector.target import SET

PANEL = 256
"""Rows of a panel, which lie side by side for each column."""
UNIT, AT_ONCE = 32, 512
"""Vectors that the library is given at a time where its order is followed: multiples of the first,
up to the second. So each size that it meets was checked; those that remain are few vectors."""
FOLLOWED_FIELDS = (
    "panels", "columns", "cuts", "segments", "gemm", "library_from", "scratch", "scratch_bytes",
)  # fmt: skip
"""panels: address of the weights, see `blas/panels.py`. cuts: address of the columns where sums
begin, and of the end behind them; segments: how many begin. library_from: vectors from which on the
library multiplies, a multiple of UNIT. scratch: per thread, for a panel as float32."""
DIRECT_FIELDS = ("weight", "columns", "gemm", "x_bytes", "scratch", "scratch_bytes")
"""weight: plain rows. x_bytes: of a vector's number. scratch: as above; 0 where the library reads
the matrix as it is."""


def _tiles() -> tuple[int, int]:
    """16 rows at a time, and vectors: as many sums as plain products have."""
    across, deep = SET.dense_tile
    return max(1, 1 << (across.bit_length() - 1)), deep


@family
def followed(kind: str, wide: bool) -> Any:
    """Few vectors by sums that begin and go on where the library's do, many by the library."""
    across, deep = _tiles()
    alone = 16 if across * deep >= 16 else 4
    size = SIZES[kind]
    wider = kind != "f32"
    ahead_alone, ahead = 16, 24
    alone_bytes, across_bytes = 16 * alone * size, 16 * across * size

    def multiply(state, thread, count, x, x_stride, first, last, out, out_stride):  # type: ignore[no-untyped-def]
        panels, columns, cuts, segments, gemm, library_from, scratch, each = words(state, 8)
        panel = panels + first * columns * size
        start = 0
        if count >= library_from:
            read = panel
            if wider:
                read = scratch + thread * each
                for i in range(0, PANEL * columns, 16):
                    store("f32", read + 4 * i, load(kind, panel + size * i))
            while count - start >= library_from:
                here = min(AT_ONCE, (count - start) // UNIT * UNIT)
                call_gemm(
                    wide, False, gemm, here, last - first, columns, x + start * x_stride,
                    x_stride // 4, read, PANEL, out + start * out_stride, out_stride // 4,
                )  # fmt: skip
                start += here
        if count - start == 1:
            for row in range(0, last - first, 16 * alone):
                for segment in range(segments):
                    total = zeros(alone, 1)
                    for k in range(word(cuts + 8 * segment), word(cuts + 8 * segment + 8)):
                        prefetch(panel + ((k + ahead_alone) * PANEL + row) * size, alone_bytes)
                        total = add_column(
                            kind, alone, 1, total, panel + (k * PANEL + row) * size,
                            x + start * x_stride + 4 * k, x_stride, 1,
                        )  # fmt: skip
                    to = out + start * out_stride + 4 * row
                    put_columns(alone, 1, total, to, out_stride, 1, last - first - row, segment)
            return
        for segment in range(segments):
            left, right = word(cuts + 8 * segment), word(cuts + 8 * segment + 8)
            for row in range(0, last - first, 16 * across):
                for vector in range(start, count, deep):
                    valid = min(deep, count - vector)
                    total = zeros(across, deep)
                    for k in range(left, right):
                        if vector == start:
                            prefetch(panel + ((k + ahead) * PANEL + row) * size, across_bytes)
                        total = add_column(
                            kind, across, deep, total, panel + (k * PANEL + row) * size,
                            x + vector * x_stride + 4 * k, x_stride, valid,
                        )  # fmt: skip
                    to = out + vector * out_stride + 4 * row
                    put_columns(
                        across, deep, total, to, out_stride, valid, last - first - row, segment
                    )

    return native(9)(multiply)


@family
def direct(kind: str, wide: bool, widens: bool) -> Any:
    """All vectors by the library, which adds as it likes. widens: whether it is given floats."""
    size = SIZES[kind]

    def multiply(state, thread, count, x, x_stride, first, last, out, out_stride):  # type: ignore[no-untyped-def]
        weight, columns, gemm, x_bytes, scratch, each = words(state, 6)
        read = weight + first * columns * size
        if widens:
            source, read = read, scratch + thread * each
            for row in range(last - first):
                for i in range(0, columns, 16):
                    left = min(16, columns - i)
                    value = load_some(kind, source + (row * columns + i) * size, left)
                    store_some("f32", read + 4 * (row * columns + i), value, left)
        call_gemm(
            wide, True, gemm, count, last - first, columns, x, x_stride // x_bytes, read, columns,
            out, out_stride // 4,
        )  # fmt: skip

    return native(9)(multiply)
