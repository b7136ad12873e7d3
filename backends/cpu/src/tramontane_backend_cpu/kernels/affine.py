"""Matrix times few vectors, the matrix in an affine layout, unpacked in registers.

For a group of columns with scale s, zero z and minimum m:

    sum((s * (code - z) + m) * x) = s * (sum(code * x) - z * sum(x)) + m * sum(x)

A code is split over bit planes, so sum(code * x) is the sum over planes of 2^shift times the
plane's own sum. In a plane of width w, the 8 / w columns that share a byte lie `bytes` apart in
`x` after `spread`, so that one load of bytes meets 8 / w runs of x.

Every row of x goes through the same code in the same order, whatever else is in the batch.
"""

from __future__ import annotations

import numpy as np

from tramontane_backend_cpu.numba_setup import njit, parallel, prange

from .half import number
from .vector import add_scaled, code_dot, lane_sum, zeros

NONE = np.zeros((0, 1), np.float32)
NO_PLANE = np.zeros((0, 0), np.uint8)


@njit
def spread(x, group, width, out):  # type: ignore[no-untyped-def]
    """x (tokens, columns) with each group's columns ordered by their place in a byte."""
    tokens, columns = x.shape
    phases = 8 // width
    size = group // phases
    for t in range(tokens):
        for start in range(0, columns, group):
            for phase in range(phases):
                for i in range(size):
                    out[t, start + phase * size + i] = x[t, start + i * phases + phase]


@njit
def group_sums(x, group, out):  # type: ignore[no-untyped-def]
    """Sums of each group of x (tokens, columns) -> (tokens, columns / group)."""
    for t in range(x.shape[0]):
        for g in range(out.shape[1]):
            total = np.float32(0)
            for i in range(g * group, (g + 1) * group):
                total += x[t, i]
            out[t, g] = total


@parallel
def matvec(  # type: ignore[no-untyped-def]
    low, low_width, high, high_width, x_low, x_high, sums, group, zero,
    scale, super_scale, least, super_least, out,
):  # fmt: skip
    """out (tokens, rows) = x Wᵀ.

    low, high: bytes of the bit planes, row after row; high is empty when there is one. x_low,
    x_high: x spread for each, token after token. sums: (tokens, groups) of x. low_width,
    high_width, group: tags. scale, least: (rows, groups) numbers; super_scale, super_least: (rows,
    super groups); (0, 1) for what there is not.
    """
    tokens, groups = sums.shape
    supers = super_scale.shape[1]
    per_super = groups // supers
    two_planes, two_level = high.shape[0] > 0, super_scale.shape[0] > 0
    minimum = least.shape[0] > 0
    columns = 16 * len(group)
    low_bytes, high_bytes = columns * len(low_width) // 8, columns * len(high_width) // 8
    factor = np.float32(1 << len(low_width))
    z = np.float32(zero)
    for row in prange(out.shape[1]):
        for t in range(tokens):
            in_low, in_high = zeros(low_width, group), zeros(high_width, group)
            offset = np.float32(0)
            for outer in range(supers):
                for inner in range(per_super):
                    g = outer * per_super + inner
                    at, start = row * groups + g, (t * groups + g) * columns
                    s = number(scale[row, g])
                    if two_level:
                        s *= number(super_scale[row, outer])
                    part = code_dot(low_width, group, low, at * low_bytes, x_low, start)
                    in_low = add_scaled(in_low, s, part)
                    if two_planes:
                        more = code_dot(high_width, group, high, at * high_bytes, x_high, start)
                        in_high = add_scaled(in_high, s, more)
                    m = -s * z
                    if minimum:
                        least_here = number(least[row, g])
                        if two_level:
                            least_here *= number(super_least[row, outer])
                        m += least_here
                    offset += m * sums[t, g]
            total = lane_sum(in_low) + offset
            if two_planes:
                total += factor * lane_sum(in_high)
            out[t, row] = total


@parallel
def decode_rows(  # type: ignore[no-untyped-def]
    low, low_width, high, high_width, group, zero,
    scale, super_scale, minimum, super_minimum, rows, out,
):  # fmt: skip
    """out (len(rows), columns) = the weights of the rows named, in float32."""
    groups = scale.shape[1]
    per_super = groups // super_scale.shape[1] if super_scale.shape[0] else 1
    low_phases = 8 // low_width
    low_mask = (1 << low_width) - 1
    high_phases = 8 // high_width
    high_mask = (1 << high_width) - 1
    for index in prange(len(rows)):
        row = rows[index]
        for g in range(groups):
            s = number(scale[row, g])
            if super_scale.shape[0]:
                s *= number(super_scale[row, g // per_super])
            m = np.float32(0)
            if minimum.shape[0]:
                m = number(minimum[row, g])
                if super_minimum.shape[0]:
                    m *= number(super_minimum[row, g // per_super])
            for c in range(g * group, (g + 1) * group):
                shift = (c % low_phases) * low_width
                code = (np.int32(low[row, c // low_phases]) >> shift) & low_mask
                if high.size:
                    shift = (c % high_phases) * high_width
                    bits = (np.int32(high[row, c // high_phases]) >> shift) & high_mask
                    code |= bits << low_width
                out[index, c] = s * np.float32(code - zero) + m
