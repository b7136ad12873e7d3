"""Packed weights as tiles of floats: all layouts by one function, of which a kernel keeps one case.

A matrix is up to eight tensors; those that its layout does not have are given as any pointer and
not read. Each number is made as `Layout.decode` makes it, in float32:

    affine       (code - zero) * scale * factor + minimum     scale, minimum: of a group of columns,
                                                              times that of a larger group, if any
    codebook     table[code] * scale                          the same, or divided by it
    row groups   (code - zero) * scale                        of a row's group, in each column
    dense        the number itself
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl

DENSE, AFFINE, CODEBOOK, ROW_GROUPS = (tl.constexpr(i) for i in range(4))


@triton.jit
def plane_codes(plane, line, inside, first, row_bytes, WIDTH: tl.constexpr, COLS: tl.constexpr):
    """Codes of WIDTH bits of columns first.., (rows, COLS) int32. line: rows, int64."""
    at = first * WIDTH // 8 + tl.arange(0, COLS * WIDTH // 8)
    known = inside[:, None] & (at < row_bytes)[None, :]
    byte = tl.load(plane + line[:, None] * row_bytes + at[None, :], known, other=0).to(tl.int32)
    if WIDTH == 8:
        codes = byte
    elif WIDTH == 4:
        codes = tl.interleave(byte & 15, byte >> 4)
    elif WIDTH == 2:
        even = tl.interleave(byte & 3, (byte >> 4) & 3)
        codes = tl.interleave(even, tl.interleave((byte >> 2) & 3, byte >> 6))
    else:
        even = tl.interleave(
            tl.interleave(byte & 1, (byte >> 4) & 1), tl.interleave((byte >> 2) & 1, byte >> 6 & 1)
        )
        odd = tl.interleave(
            tl.interleave((byte >> 1) & 1, (byte >> 5) & 1),
            tl.interleave((byte >> 3) & 1, byte >> 7),
        )
        codes = tl.interleave(even, odd)
    return codes


@triton.jit
def spread(
    numbers, line, inside, first, columns, GROUP: tl.constexpr, ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """A number for each GROUP columns as (rows, COLS or 1) float32. first: a multiple of COLS."""
    groups = columns // GROUP
    if GROUP % COLS == 0:
        at = line * groups + first // GROUP
        out = tl.load(numbers + at, inside, other=0).to(tl.float32)[:, None]
    elif COLS % GROUP == 0:
        at = first // GROUP + tl.arange(0, COLS // GROUP)
        known = inside[:, None] & (at < groups)[None, :]
        each = tl.load(numbers + line[:, None] * groups + at[None, :], known, other=0)
        each = each.to(tl.float32)[:, :, None]
        out = tl.reshape(tl.broadcast_to(each, (ROWS, COLS // GROUP, GROUP)), (ROWS, COLS))
    else:
        at = (first + tl.arange(0, COLS)) // GROUP
        known = inside[:, None] & (at < groups)[None, :]
        out = tl.load(numbers + line[:, None] * groups + at[None, :], known, other=0)
        out = out.to(tl.float32)
    return out


@triton.jit
def weights(
    plane0, plane1, scale, zero, minimum, above, above_minimum, table,
    line, inside, first, columns, factor,
    KIND: tl.constexpr, WIDTH0: tl.constexpr, WIDTH1: tl.constexpr, GROUP: tl.constexpr,
    ABOVE: tl.constexpr, ABOVE_MINIMUM: tl.constexpr, DIVIDES: tl.constexpr, ZERO: tl.constexpr,
    ZEROS: tl.constexpr, MINIMUM: tl.constexpr, FACTOR: tl.constexpr, ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """(rows, COLS) float32 of columns first.. of the rows `line` (int64), 0 where not `inside`.

    WIDTH0, WIDTH1: bits of the planes; 0: there is no second. ABOVE, ABOVE_MINIMUM: columns of the
    larger groups; 0: none. ZERO: the code of all groups, unless ZEROS.
    """
    column = first + tl.arange(0, COLS)
    known = inside[:, None] & (column < columns)[None, :]
    if KIND == DENSE:
        out = tl.load(plane0 + line[:, None] * columns + column[None, :], known, other=0)
        out = out.to(tl.float32)
    else:
        code = plane_codes(plane0, line, inside, first, columns * WIDTH0 // 8, WIDTH0, COLS)
        if WIDTH1 > 0:
            high = plane_codes(plane1, line, inside, first, columns * WIDTH1 // 8, WIDTH1, COLS)
            code = code | (high << WIDTH0)
        if KIND == ROW_GROUPS:
            group = tl.load(table + line, inside, other=0).to(tl.int64)
            at = group[:, None] * columns + column[None, :]
            less = tl.load(zero + at, known, other=0).to(tl.float32)
            out = (code.to(tl.float32) - less) * tl.load(scale + at, known, other=0).to(tl.float32)
        else:
            by = spread(scale, line, inside, first, columns, GROUP, ROWS, COLS)
            if ABOVE > 0:
                more = spread(above, line, inside, first, columns, ABOVE, ROWS, COLS)
                if DIVIDES:
                    by = by / tl.where(more == 0, 1.0, more)
                else:
                    by = by * more
            if KIND == CODEBOOK:
                out = tl.load(table + code, known, other=0).to(tl.float32) * by
            else:
                if ZEROS:
                    less = spread(zero, line, inside, first, columns, GROUP, ROWS, COLS)
                    out = code.to(tl.float32) - less
                else:
                    out = (code - ZERO).to(tl.float32)
                out = out * by
                if FACTOR:
                    out = out * factor
                if MINIMUM:
                    least = spread(minimum, line, inside, first, columns, GROUP, ROWS, COLS)
                    if ABOVE_MINIMUM > 0:
                        least = least * spread(
                            above_minimum, line, inside, first, columns, ABOVE_MINIMUM, ROWS, COLS
                        )
                    out = out + least
    return out
