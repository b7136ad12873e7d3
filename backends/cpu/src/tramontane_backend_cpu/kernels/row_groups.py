"""Matrix times vectors, the matrix packed as `row_groups.py` says.

A job is a group of rows: it scales the vectors as the group does, converts them, multiplies, and
puts the results where its rows are.
"""

from __future__ import annotations

from typing import Any

from tramontane_backend_cpu.kernels import matmul
from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.arithmetic import lane_sum, same
from tramontane_backend_cpu.vector.memory import (
    SIZES,
    load,
    load_some,
    number,
    prefetch,
    put,
    put_word,
    store,
    word,
    words,
)
from tramontane_backend_cpu.vector.put_units import put_codes, put_plain, put_quantized
from tramontane_backend_cpu.vector.tiles import PLAIN_UNIT_BYTES, ROWS, UNIT, UNIT_BYTES

FIELDS = (
    "count", "out", "stride", "input", "bias", "add", "input_stride", "columns", "units", "tile",
    "at_once", "scale", "zero", "firsts", "rows_at", "single", "whole", "codes", "codes_bytes",
    "model", "scratch", "scratch_bytes",
)  # fmt: skip
"""input: float32, rows `input_stride` bytes apart. columns: of the matrix; units: one more than
these have. at_once: vectors at a time. scale, zero, firsts, rows_at: see `row_groups.py`. codes: of
the first plane, codes_bytes: of a block's unit there, to be prefetched. model: the arguments of a
product with all blocks. scratch: per thread. The others: see `matmul.py`."""
OUT, STRIDE = 8 * matmul.FIELDS.index("out"), 8 * matmul.FIELDS.index("stride")
WORDS = len(matmul.FIELDS)
TOLD = 256
assert 8 * WORDS <= TOLD


def scratch_bytes(units: int, unit_bytes: int, vectors: int, blocks: int) -> int:
    """What one thread needs: arguments, the last unit of a vector, converted ones, products.
    vectors: whole tiles; blocks: of the largest group."""
    return TOLD + 4 * UNIT + units * unit_bytes * vectors + 4 * ROWS * blocks * vectors


@family
def row_groups(scale_kind: str, zero_kind: str, plain: bool) -> Any:
    """The kernel for kinds of scales and zeros, vectors quantized or plain."""
    unit_bytes = PLAIN_UNIT_BYTES if plain else UNIT_BYTES
    scale_size, zero_size = SIZES[scale_kind], SIZES[zero_kind]
    fields = len(FIELDS)

    def kernel(arguments, job, thread):  # type: ignore[no-untyped-def]
        (count_at, out, out_stride, x, bias, add, x_stride, columns, units, tile, at_once, scale,
         zero, firsts, rows_at, single, whole, codes, codes_bytes, model, scratch,
         scratch_size) = words(arguments, fields)  # fmt: skip
        count = word(count_at)
        first, last = word(firsts + 8 * job), word(firsts + 8 * job + 8)
        told = scratch + thread * scratch_size
        last_unit = told + TOLD
        tiles = last_unit + 4 * UNIT
        sums, stride = tiles + units * unit_bytes * at_once, 4 * ROWS * (last - first)
        for i in range(WORDS):
            put_word(told + 8 * i, word(model + 8 * i))
        put_word(told + OUT, sums - 4 * ROWS * first)
        put_word(told + STRIDE, stride)
        my_scale = scale + job * columns * scale_size
        my_zero = zero + job * columns * zero_size
        ahead, ahead_bytes = codes + first * units * codes_bytes, (last - first) * codes_bytes
        for i in range(0, UNIT, 16):
            store("f32", last_unit + 4 * i, same(0))
        for start in range(0, count, at_once):
            some = min(count - start, at_once)
            full = some // tile * tile
            for row in range(some):
                source = x + (start + row) * x_stride
                size, place = tile, row % tile
                if row >= full:
                    place = row - full
                    if some - full == 1:
                        size = 1
                at = tiles + (row - place) * units * unit_bytes
                total = same(0)
                for i in range(0, columns, UNIT):
                    if start + row == 0:  # memory can bring the codes while it computes
                        for line in range(0, ahead_bytes, 64):
                            prefetch(ahead + line, 64)
                        ahead += ahead_bytes
                    scales, zeros = my_scale + scale_size * i, my_zero + zero_size * i
                    if columns - i >= UNIT:
                        a, b = load("f32", source + 4 * i), load("f32", source + 4 * i + 64)
                        a = a * load(scale_kind, scales)
                        b = b * load(scale_kind, scales + 16 * scale_size)
                        m, n = load(zero_kind, zeros), load(zero_kind, zeros + 16 * zero_size)
                    else:
                        few, more = min(16, columns - i), max(0, columns - i - 16)
                        a = load_some("f32", source + 4 * i, few)
                        b = load_some("f32", source + 4 * i + 64, more)
                        a = a * load_some(scale_kind, scales, few)
                        b = b * load_some(scale_kind, scales + 16 * scale_size, more)
                        m = load_some(zero_kind, zeros, few)
                        n = load_some(zero_kind, zeros + 16 * zero_size, more)
                    # what is taken away has the same rounding errors as what it is taken from
                    if plain:
                        total = total + a * m + b * n
                        put_plain(size, at, place, a, b)
                    else:
                        total = total + put_codes(size, at, place, a, b, m, n)
                    at += size * unit_bytes
                put("f32", last_unit, -lane_sum(total))
                a, b = load("f32", last_unit), load("f32", last_unit + 64)
                if plain:
                    put_plain(size, at, place, a, b)
                else:
                    put_quantized(size, at, place, a, b)
            matmul.some_vectors(
                told, single, whole, first, last, tile, tile * units * unit_bytes, tiles, 0, some,
                units, units, 0,
            )  # fmt: skip
            for row in range(some):
                to, source = out + (start + row) * out_stride, sums + row * stride
                for i in range(ROWS * (last - first)):
                    place = word(rows_at + 8 * (ROWS * first + i))
                    if place >= 0:
                        value = number("f32", source + 4 * i)
                        if bias != 0:
                            value += number("f32", bias + 4 * place)
                        if add != 0:
                            value += number("f32", to + 4 * place)
                        put("f32", to + 4 * place, value)

    return native(3)(kernel)
