"""Both matrices of a gated MLP in one kernel: activation(gate x) * (up x), in the format that the
next matrix reads.

A job computes the same rows of both products for some vectors at a time, so that neither leaves the
core's cache. The arithmetic is that of the separate kernels, so results have the same bits.
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
"""gate, up: addresses of the arguments of `matmul` for each matrix; their output is replaced.
activation: address of a kernel of one vector. scratch: per thread. out: `out_units` units a vector,
in tiles. The others: see `kernels/matmul.py`."""
OUT, STRIDE = 8 * matmul.FIELDS.index("out"), 8 * matmul.FIELDS.index("stride")
WORDS = len(matmul.FIELDS)
ARGUMENT_BYTES = 256
"""Bytes for one kernel's arguments: WORDS of 8 bytes, rounded up to cache lines."""
assert 8 * WORDS <= ARGUMENT_BYTES


def scratch_bytes(panel: int, vectors: int) -> int:
    """Scratch of one thread: three kernels' arguments, both products, and a partial product."""
    return 3 * ARGUMENT_BYTES + 3 * 4 * ROWS * panel * vectors


@njit
def products(  # type: ignore[no-untyped-def]
    call, matrix, single, whole, sums, stride, first, last, tile, tile_bytes, tiles, start,
    stop, units, stretch, partial
):  # fmt: skip
    """A matrix's blocks first..last times vectors start..stop, into `sums`."""
    for i in range(WORDS):
        put_word(call + 8 * i, word(matrix + 8 * i))
    put_word(call + OUT, sums - start * stride - 4 * ROWS * first)
    put_word(call + STRIDE, stride)
    matmul.some_vectors(
        call, single, whole, first, last, tile, tile_bytes, tiles, start, stop, units, stretch,
        partial,
    )  # fmt: skip


@family
def gated(unquantized: bool) -> Any:
    """The kernel with quantized or with unquantized float32 results."""
    unit_bytes = PLAIN_UNIT_BYTES if unquantized else UNIT_BYTES

    def gate_and_up(arguments, job, thread):  # type: ignore[no-untyped-def]
        (count_at, blocks, panel, units, tile, tile_unit_bytes, tiles_at_once, stretch, tiles,
         gate_single, gate_whole, gate, up_single, up_whole, up, activation, scratch, scratch_size,
         out, out_units) = words(arguments, 20)  # fmt: skip
        count = word(count_at)
        first, last = job * panel, min(blocks, (job + 1) * panel)
        whole_tiles, tile_bytes = count // tile * tile, tile * units * tile_unit_bytes
        gate_call = scratch + thread * scratch_size
        sums, stride = gate_call + 3 * ARGUMENT_BYTES, 4 * ROWS * panel
        up_sums = sums + stride * tiles_at_once * tile
        partial = up_sums + stride * tiles_at_once * tile
        first_unit, last_unit = first * ROWS // UNIT, last * ROWS // UNIT
        activation_call = gate_call + 2 * ARGUMENT_BYTES
        put_word(activation_call, sums)
        put_word(activation_call + 8, stride)
        put_word(activation_call + 16, sums)
        put_word(activation_call + 24, stride)
        put_word(activation_call + 32, (last - first) * ROWS)
        put_word(activation_call + 40, 0)
        for start in range(0, count, tiles_at_once * tile):
            stop = min(count, start + tiles_at_once * tile)
            products(
                gate_call, gate, gate_single, gate_whole, sums, stride, first, last, tile,
                tile_bytes, tiles, start, stop, units, stretch, partial,
            )  # fmt: skip
            products(
                gate_call + ARGUMENT_BYTES, up, up_single, up_whole, up_sums, stride, first, last,
                tile, tile_bytes, tiles, start, stop, units, stretch, partial,
            )  # fmt: skip
            call_kernel(activation, activation_call, 0, stop - start)
            for row in range(start, stop):
                size, place = tile, row % tile
                if row >= whole_tiles and count - whole_tiles == 1:
                    size = 1
                at = out + ((row - place) * out_units + first_unit * size) * unit_bytes
                a, b = sums + (row - start) * stride, up_sums + (row - start) * stride
                for _ in range(first_unit, last_unit):
                    left = load("f32", a) * load("f32", b)
                    right = load("f32", a + 64) * load("f32", b + 64)
                    if unquantized:
                        put_plain(size, at, place, left, right)
                    else:
                        put_quantized(size, at, place, left, right)
                    at += size * unit_bytes
                    a += 4 * UNIT
                    b += 4 * UNIT

    return native(3)(gate_and_up)
