"""Matrix times tiles of vectors, the matrix in an affine layout, packed as `packing.py` says.

One source for every number of bits, group size, kind of scale and size of tile. A vector's sums are
taken in the same order whatever tile it is in, so its result depends on nothing but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tramontane_backend_cpu.numba_setup import family, native, njit
from tramontane_backend_cpu.vector.memory import SIZES, prefetch, word, words
from tramontane_backend_cpu.vector.parallel import call_tile
from tramontane_backend_cpu.vector.tables import BYTE_ZERO, bytes_of
from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import (
    PLAIN_UNIT_BYTES,
    ROWS,
    UNIT_BYTES,
    add_minimum,
    add_scaled,
    add_times,
    add_two_scaled,
    bias_tile,
    block_offset,
    block_product,
    block_times,
    code_dot,
    load_block,
    load_tile,
    plain_dot,
    planes_bytes,
    save_tile,
    store_tile,
    table_dot,
    zero_tile,
)

DRIVER_FIELDS = (
    "count", "blocks", "panel", "units", "tile", "tile_unit_bytes", "tiles_at_once", "stretch",
    "partials", "partial_bytes", "input", "single", "whole",
)  # fmt: skip
FIELDS = (
    *DRIVER_FIELDS, "columns_rows", "supers", "steps", "low", "high", "scale", "minimum",
    "super_scale", "super_minimum", "out", "stride", "bias", "add",
)  # fmt: skip
"""count: address of the number of vectors. blocks: of 16 rows; panel: blocks per job. units: of 32
columns. tile: vectors in a whole tile. tiles_at_once: whole tiles that stay in the cache together,
of which `stretch` units at a time. partials: what sums have come to in between, per thread.
single, whole: addresses of the kernels for tiles of one and of all. columns_rows: rows of the
matrix. supers: groups of groups in a row, steps: of 32 or a group's columns in each. out: float32,
rows `stride` bytes apart; add: whether results are added to it. bias: address of a float32 per row,
or 0."""

AHEAD = 4 << 10
"""Bytes of codes ahead of what one vector is multiplied with that are prefetched. Each row of
blocks has several streams, of which processors see too little to run ahead of all; codes of 8 bits
are nearly all that is read, and go faster without. A unit at a time: processors wait while they
have more than a few requests to memory open."""


@dataclass(frozen=True)
class Packing:
    """What a kernel is compiled for. scale, minimum, above: kinds of stored numbers; "" for none;
    above is that of the scales' scales."""

    bits: int
    group: int
    zero: int
    scale: str
    minimum: str
    above: str
    values: str = ""
    """What codes stand for, see `vector/tables.py`."""
    zeros: bool = False
    """Whether there is a zero for each group, of kind `minimum` and in a minimum's place."""

    @property
    def plain_only(self) -> bool:
        """Whether vectors must stay floats, since the weights are not small integers."""
        return self.values != "" and bytes_of(self.values) is None


@njit
def some_vectors(  # type: ignore[no-untyped-def]
    arguments, single, whole, first, last, tile, bytes_, tiles, start, stop, units, stretch, partial
):  # fmt: skip
    """Blocks first..last times vectors start..stop: start begins a tile, stop ends one or all."""
    full = (stop - start) // tile
    at = tiles + start // tile * bytes_
    if full == 1:
        stretch = units  # nothing is read twice
    if full > 0:
        for left in range(0, units, stretch):
            right = min(units, left + stretch)
            call_tile(whole, arguments, first, last, full, tile, at, start, left, right, partial)
    rest = stop - start - full * tile
    if rest > 0:
        kernel, row = single if rest == 1 else whole, start + full * tile
        call_tile(
            kernel, arguments, first, last, 1, rest, at + full * bytes_, row, 0, units, partial
        )


@native(3)
def matmul(arguments, job, thread):  # type: ignore[no-untyped-def]
    """One panel of rows for all vectors, in whole tiles; one vector alone has a tile of its own."""
    (count_at, blocks, panel, units, tile, tile_unit_bytes, tiles_at_once, stretch, partials,
     partial_bytes, tiles, single, whole) = words(arguments, 13)  # fmt: skip
    count, mine = word(count_at), partials + thread * partial_bytes
    first, last = job * panel, min(blocks, (job + 1) * panel)
    bytes_ = tile * units * tile_unit_bytes
    at_once = tiles_at_once * tile
    for start in range(0, count, at_once):
        stop = min(count, start + at_once)
        some_vectors(
            arguments, single, whole, first, last, tile, bytes_, tiles, start, stop, units, stretch,
            mine,
        )  # fmt: skip


@family
def affine_kernel(packing: Packing, count: int, plain: bool) -> Any:
    """The compiled kernel for tiles of `count` vectors, quantized or plain.

    It multiplies units left..right. What sums have come to before lies at `partial`, and goes there
    if the row does not end: they go on as if nothing had been between.
    """
    bits, group, zero, values = packing.bits, packing.group, packing.zero, packing.values
    if (table := bytes_of(values)) is not None:
        zero = BYTE_ZERO
    unit = np.float32(1 if table is None else table[1])
    scaled = table is not None and table[1] != 1
    scale_kind, minimum_kind, above = packing.scale, packing.minimum, packing.above
    has_offset, two_level, halves = minimum_kind != "", above != "", group == 16
    has_zeros = packing.zeros
    has_above = two_level and has_offset and not has_zeros
    offset = "zero" if has_zeros else "minimum" if has_offset else ""
    tabled = plain and packing.plain_only
    above_kind = above or "f32"
    least_kind = minimum_kind or "f32"
    scale_bytes, least_bytes = ROWS * SIZES[scale_kind], ROWS * SIZES[least_kind]
    above_bytes = ROWS * SIZES[above_kind]
    low_unit, high_unit = planes_bytes(bits)
    units_per_step = max(1, group // 32)
    unit_bytes = count * (PLAIN_UNIT_BYTES if plain else UNIT_BYTES)
    fields, ahead = len(FIELDS), AHEAD * (2 if tabled else 1) if bits < 8 else 0
    several, two_planes = count > 1, high_unit > 0
    low_step, high_step = low_unit * units_per_step, high_unit * units_per_step
    per_step, registers = 2 if halves else 1, count * SET.registers

    def kernel(  # type: ignore[no-untyped-def]
        arguments, first, last, tiles, valid, tiles_at, row, left, right, partial
    ):  # fmt: skip
        (_, _, _, units, _, _, _, _, _, _, _, _, _, rows, supers, steps, low, high, scale, minimum,
         super_scale, super_minimum, out, stride, bias, add) = words(arguments, fields)  # fmt: skip
        per_row, groups = supers * steps * per_step, left // units_per_step * per_step
        above_before, outers, inner = 0, 1, (right - left) // units_per_step
        if two_level:
            per_super = steps * units_per_step
            above_before, outers, inner = left // per_super, (right - left) // per_super, steps
        for block in range(first, last):
            here = min(ROWS, rows - ROWS * block)
            for tile in range(tiles):
                x = tiles_at + (tile * units + left) * unit_bytes
                lo = low + (block * units + left) * low_unit
                hi = high + (block * units + left) * high_unit
                s_at = scale + (block * per_row + groups) * scale_bytes
                m_at = minimum + (block * per_row + groups) * least_bytes
                ss_at = super_scale + (block * supers + above_before) * above_bytes
                sm_at = super_minimum + (block * supers + above_before) * above_bytes
                # while it computes, memory can bring the next block: a part with each tile
                wait = tile
                kept = partial + 64 * registers * ((block - first) * tiles + tile)
                if left > 0:
                    total = load_tile(registers, kept, 64)
                else:
                    total = zero_tile(count)
                    if bias != 0:
                        total = bias_tile(count, bias + 4 * ROWS * block, here)
                for _outer in range(outers):
                    if two_level:
                        ds = load_block(above_kind, ss_at)
                        ss_at += above_bytes
                        if has_above:
                            dm = load_block(above_kind, sm_at)
                            sm_at += above_bytes
                    for _step in range(inner):
                        if several:
                            if wait == 0:
                                prefetch(lo + units * low_unit, low_step)
                                if two_planes:
                                    prefetch(hi + units * high_unit, high_step)
                                wait = tiles
                            wait -= 1
                        if halves:
                            if not several and ahead > 0:
                                prefetch(lo + ahead, low_unit)
                            s = load_block(scale_kind, s_at)
                            t = load_block(scale_kind, s_at + scale_bytes)
                            s_at += 2 * scale_bytes
                            if two_level:
                                s, t = block_product(s, ds), block_product(t, ds)
                            if scaled:
                                s, t = block_times(s, unit), block_times(t, unit)
                            if has_offset:
                                m = load_block(least_kind, m_at)
                                n = load_block(least_kind, m_at + least_bytes)
                                m_at += 2 * least_bytes
                                if has_above:
                                    m, n = block_product(m, dm), block_product(n, dm)
                                if has_zeros and not plain:
                                    m, n = block_offset(s, m), block_offset(t, n)
                            if not has_offset:
                                m, n = s, t  # not looked at
                            if tabled:
                                sums = table_dot(count, bits, values, 0, 4, lo, hi, x)
                                total = add_times(count, total, sums, s)
                                sums = table_dot(count, bits, values, 4, 8, lo, hi, x)
                                total = add_times(count, total, sums, t)
                            elif plain:
                                total = plain_dot(
                                    count, bits, zero, values, offset, 0, 4, total, lo, hi, s, m, x
                                )
                                total = plain_dot(
                                    count, bits, zero, values, offset, 4, 8, total, lo, hi, t, n, x
                                )
                            else:
                                ints = code_dot(count, bits, zero, values, 0, 4, lo, hi, x)
                                others = code_dot(count, bits, zero, values, 4, 8, lo, hi, x)
                                total = add_two_scaled(count, total, ints, s, others, t, x)
                                if has_offset:
                                    total = add_minimum(count, total, m, 1, x)
                                    total = add_minimum(count, total, n, 2, x)
                            lo += low_unit
                            hi += high_unit
                            x += unit_bytes
                        else:
                            s = load_block(scale_kind, s_at)
                            s_at += scale_bytes
                            if two_level:
                                s = block_product(s, ds)
                            if scaled:
                                s = block_times(s, unit)
                            if has_offset:
                                m = load_block(least_kind, m_at)
                                m_at += least_bytes
                                if has_above:
                                    m = block_product(m, dm)
                                if has_zeros and not plain:
                                    m = block_offset(s, m)
                            if not has_offset:
                                m = s  # not looked at
                            for _unit in range(units_per_step):
                                if not several and ahead > 0:
                                    prefetch(lo + ahead, low_unit)
                                if tabled:
                                    sums = table_dot(count, bits, values, 0, 8, lo, hi, x)
                                    total = add_times(count, total, sums, s)
                                elif plain:
                                    total = plain_dot(
                                        count,
                                        bits,
                                        zero,
                                        values,
                                        offset,
                                        0,
                                        8,
                                        total,
                                        lo,
                                        hi,
                                        s,
                                        m,
                                        x,
                                    )
                                else:
                                    ints = code_dot(count, bits, zero, values, 0, 8, lo, hi, x)
                                    total = add_scaled(count, total, ints, s, x)
                                    if has_offset:
                                        total = add_minimum(count, total, m, 0, x)
                                lo += low_unit
                                hi += high_unit
                                x += unit_bytes
                if right == units:
                    to = out + (row + tile * count) * stride + 4 * ROWS * block
                    store_tile(count, total, here, valid, to, stride, add)
                else:
                    save_tile(registers, total, kept, 64)

    return native(10)(kernel)
