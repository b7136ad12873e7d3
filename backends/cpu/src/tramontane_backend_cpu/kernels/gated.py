"""Two matrices of a gated feed-forward in one: activation(gate . x) * (up . x), written as the next
matrix wants to read it.

A job does the same rows of both for some vectors at a time, so that neither product leaves the
core's cache. Each number goes through the same kernels as it would by itself.
"""

from __future__ import annotations

from typing import Any

from tramontane_backend_cpu.kernels import matmul
from tramontane_backend_cpu.numba_setup import family, native, njit
from tramontane_backend_cpu.vector.memory import load, put_word, word, words
from tramontane_backend_cpu.vector.parallel import call_kernel
from tramontane_backend_cpu.vector.put_units import put_plain, put_quantized
from tramontane_backend_cpu.vector.tiles import PLAIN_UNIT_BYTES, ROWS, UNIT, UNIT_BYTES

FIELDS = (
    "count", "blocks", "panel", "units", "tile", "tile_unit_bytes", "tiles_at_once", "stretch",
    "input", "gate_single", "gate_whole", "gate", "up_single", "up_whole", "up", "activation",
    "scratch", "scratch_bytes", "out", "out_units",
)  # fmt: skip
"""gate, up: addresses of the matrices' own arguments, of which where the results go is replaced.
activation: address of a kernel of one vector. scratch: per thread. out: `out_units` units a vector,
in tiles. The others: see `kernels/matmul.py`."""
OUT, STRIDE = 8 * matmul.FIELDS.index("out"), 8 * matmul.FIELDS.index("stride")
WORDS = len(matmul.FIELDS)
TOLD = 256
"""Bytes for one kernel's arguments: WORDS of 8, in whole lines of the cache."""
assert 8 * WORDS <= TOLD


def scratch_bytes(panel: int, vectors: int) -> int:
    """What one thread needs: three kernels' arguments, both products, and what one of them has come
    to in between."""
    return 3 * TOLD + 3 * 4 * ROWS * panel * vectors


@njit
def products(  # type: ignore[no-untyped-def]
    told, model, single, whole, sums, stride, first, last, tile, bytes_, tiles, start, stop, units,
    stretch, partial
):  # fmt: skip
    """A matrix's blocks first..last times vectors start..stop, into `sums`."""
    for i in range(WORDS):
        put_word(told + 8 * i, word(model + 8 * i))
    put_word(told + OUT, sums - start * stride - 4 * ROWS * first)
    put_word(told + STRIDE, stride)
    matmul.some_vectors(
        told, single, whole, first, last, tile, bytes_, tiles, start, stop, units, stretch, partial
    )


@family
def gated(plain: bool) -> Any:
    """The kernel whose results are quantized, or plain."""
    unit_bytes = PLAIN_UNIT_BYTES if plain else UNIT_BYTES

    def gate_and_up(arguments, job, thread):  # type: ignore[no-untyped-def]
        (count_at, blocks, panel, units, tile, tile_unit_bytes, tiles_at_once, stretch, tiles,
         gate_single, gate_whole, gate, up_single, up_whole, up, activation, scratch, scratch_size,
         out, out_units) = words(arguments, 20)  # fmt: skip
        count = word(count_at)
        first, last = job * panel, min(blocks, (job + 1) * panel)
        whole_tiles, bytes_ = count // tile * tile, tile * units * tile_unit_bytes
        told = scratch + thread * scratch_size
        sums, stride = told + 3 * TOLD, 4 * ROWS * panel
        others = sums + stride * tiles_at_once * tile
        partial = others + stride * tiles_at_once * tile
        first_unit, last_unit = first * ROWS // UNIT, last * ROWS // UNIT
        activate = told + 2 * TOLD
        put_word(activate, sums)
        put_word(activate + 8, stride)
        put_word(activate + 16, sums)
        put_word(activate + 24, stride)
        put_word(activate + 32, (last - first) * ROWS)
        put_word(activate + 40, 0)
        for start in range(0, count, tiles_at_once * tile):
            stop = min(count, start + tiles_at_once * tile)
            products(
                told, gate, gate_single, gate_whole, sums, stride, first, last, tile, bytes_,
                tiles, start, stop, units, stretch, partial,
            )  # fmt: skip
            products(
                told + TOLD, up, up_single, up_whole, others, stride, first, last, tile, bytes_,
                tiles, start, stop, units, stretch, partial,
            )  # fmt: skip
            call_kernel(activation, activate, 0, stop - start)
            for row in range(start, stop):
                size, place = tile, row % tile
                if row >= whole_tiles and count - whole_tiles == 1:
                    size = 1
                at = out + ((row - place) * out_units + first_unit * size) * unit_bytes
                a, b = sums + (row - start) * stride, others + (row - start) * stride
                for _ in range(first_unit, last_unit):
                    left = load("f32", a) * load("f32", b)
                    right = load("f32", a + 64) * load("f32", b + 64)
                    if plain:
                        put_plain(size, at, place, left, right)
                    else:
                        put_quantized(size, at, place, left, right)
                    at += size * unit_bytes
                    a += 4 * UNIT
                    b += 4 * UNIT

    return native(3)(gate_and_up)
