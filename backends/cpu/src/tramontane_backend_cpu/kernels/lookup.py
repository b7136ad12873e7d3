"""Rows of a table that is packed as `packing.py` says, as floats."""

from __future__ import annotations

from typing import Any

import numpy as np
from tramontane.bit_planes import PLANES

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    byte,
    number,
    put,
    short_word,
    word,
    words,
)
from tramontane_backend_cpu.vector.tables import code_float
from tramontane_backend_cpu.vector.tiles import ROWS, planes_bytes

from .matmul import Packing

FIELDS = (
    "tokens", "out", "stride", "columns", "units", "groups", "supers", "low", "high", "scale",
    "minimum", "super_scale", "super_minimum", "order", "count",
)  # fmt: skip
"""order: int32, where in a row each stored column belongs. count: of rows; ids that
are no less have that of row 0."""


@family
def lookup(packing: Packing, ordered: bool) -> Any:
    """The kernel for a packing: (arguments, first, last), vectors first..last. ordered: whether
    columns are stored in an order of their own."""
    widths = PLANES[packing.bits]
    low_width, high_width = widths[0], widths[-1]
    two_planes, two_level = len(widths) == 2, packing.above != ""
    has_offset, has_zeros = packing.minimum != "", packing.zeros
    has_above, group, zero = two_level and not has_zeros, packing.group, packing.zero
    values, has_values = packing.values, packing.values != ""
    scale_kind, least_kind = packing.scale, packing.minimum or "f32"
    above_kind = packing.above or "f32"
    scale_size, least_size, above_size = (SIZES[k] for k in (scale_kind, least_kind, above_kind))
    low_unit, high_unit = planes_bytes(packing.bits)
    low_mask, high_mask = (1 << low_width) - 1, (1 << high_width) - 1
    low_phases, high_phases = 8 // low_width, 8 // high_width

    def read(arguments, first, last):  # type: ignore[no-untyped-def]
        (tokens, out, stride, columns, units, groups, supers, low, high, scale, minimum,
         super_scale, super_minimum, order, count) = words(arguments, 15)  # fmt: skip
        per_super = groups // supers
        for index in range(first, last):
            row = word(tokens + 8 * index)
            if row >= count:
                row = 0
            block, lane = row // ROWS, row % ROWS
            place = lane // 16 * 64 + lane % 16 * 4
            for g in range((columns + group - 1) // group):
                at = (block * groups + g) * ROWS + lane
                above = (block * supers + g // per_super) * ROWS + lane
                s, m = number(scale_kind, scale + scale_size * at), np.float32(0)
                if two_level:
                    s *= number(above_kind, super_scale + above_size * above)
                if has_offset:
                    m = number(least_kind, minimum + least_size * at)
                    if has_above:
                        m *= number(above_kind, super_minimum + above_size * above)
                for c in range(g * group, min(columns, (g + 1) * group)):
                    unit, k = block * units + c // 32, c % 32 // 4
                    to = unit * low_unit + k // low_phases * 4 * ROWS + place + c % 4
                    code = byte(low + to) >> (k % low_phases * low_width) & low_mask
                    if two_planes:
                        to = unit * high_unit + k // high_phases * 4 * ROWS + place + c % 4
                        bits = byte(high + to) >> (k % high_phases * high_width) & high_mask
                        code |= bits << low_width
                    if has_values:
                        value = code_float(values, code) * s
                    elif has_zeros:
                        value = (np.float32(code) - m) * s
                    else:
                        value = np.float32(code - zero) * s
                    column = short_word(order + 4 * c) if ordered else c
                    if not has_zeros:
                        value += m
                    put("f32", out + index * stride + 4 * column, value)

    return native(3)(read)
