"""Vectors on their way into a matrix: quantized to 8 bits, or as they are, in tiles."""

from __future__ import annotations

from typing import Any

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector.memory import gather_some, load, load_some, word, words
from tramontane_backend_cpu.vector.put_units import put_plain, put_quantized
from tramontane_backend_cpu.vector.tiles import PLAIN_UNIT_BYTES, UNIT_BYTES

FIELDS = ("count", "tile", "units", "columns", "x", "stride", "out", "begin")
"""count: address of the number of vectors. tile: vectors in a whole tile. units: of a vector; those
written are of `columns` numbers, and the first of them is `begin`. x: float32, vectors `stride`
bytes apart. out: units in tiles, see `vector/tiles.py`."""
ORDERED_FIELDS = (*FIELDS, "order")
"""order: int32, where in a vector the number of each column is."""


@family
def quantizer(plain: bool, ordered: bool) -> Any:
    """The kernel that writes quantized or plain units. ordered: whether columns have an order of
    their own."""
    unit_bytes = PLAIN_UNIT_BYTES if plain else UNIT_BYTES

    def quantize(arguments, first, last):  # type: ignore[no-untyped-def]
        count_at, tile, units, columns, x, stride, out, begin = words(arguments, 8)
        order = word(arguments + 64) if ordered else 0
        count = word(count_at)
        full = count // tile * tile
        for row in range(first, last):
            size, place = tile, row % tile
            if row >= full:
                rest = count - full
                size = 1 if rest == 1 else tile
                place = row - full
            at = out + ((row - place) * units + begin * size) * unit_bytes
            numbers = x + row * stride
            for unit in range((columns + 31) // 32):
                left = columns - 32 * unit
                if ordered:
                    places = order + 128 * unit
                    a = gather_some(x + row * stride, places, min(left, 16))
                    b = gather_some(x + row * stride, places + 64, max(left - 16, 0))
                elif left >= 32:
                    a, b = load("f32", numbers), load("f32", numbers + 64)
                else:
                    a = load_some("f32", numbers, min(left, 16))
                    b = load_some("f32", numbers + 64, max(left - 16, 0))
                if plain:
                    put_plain(size, at, place, a, b)
                else:
                    put_quantized(size, at, place, a, b)
                at += size * unit_bytes
                numbers += 128

    return native(3)(quantize)
