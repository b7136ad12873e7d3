"""From rows of packed codes to interleaved ones, for `packing.py`."""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector.memory import byte, put_byte, put_short_word, words
from tramontane_backend_cpu.vector.memory import short_word as quad
from tramontane_backend_cpu.vector.tiles import ROWS

FIELDS = ("plane", "rows", "bytes", "width", "units", "out")
NUMBER_FIELDS = ("values", "rows", "groups", "padded_groups", "size", "out")


@native(3)
def repack_plane(arguments, block, thread):  # type: ignore[no-untyped-def]
    """One block of a bit plane: (rows, bytes), the first column in a byte's lowest bits."""
    plane, rows, size, width, units, out = words(arguments, 6)
    per_byte = 8 // width
    mask = (1 << width) - 1
    registers = ROWS // 16
    to_block = out + block * units * width * 4 * ROWS
    for lane in range(ROWS):
        row = block * ROWS + lane
        source = plane + row * size
        to = to_block + lane // 16 * 64 + lane % 16 * 4
        for register in range(units * width):
            # `per_byte` quads of columns become one quad of bytes: four bytes in, four out
            value = 0
            first = register * 4
            if row < rows and first < size:
                if first + 4 <= size:
                    packed = quad(source + first) & 0xFFFFFFFF
                else:
                    packed = 0
                    for i in range(size - first):
                        packed |= byte(source + first + i) << (8 * i)
                if width == 8:
                    value = packed
                else:
                    for phase in range(per_byte):
                        quarter = packed >> (4 * width * phase)
                        for i in range(4):
                            value |= (quarter >> (i * width) & mask) << (8 * i + phase * width)
            put_short_word(to + register * registers * 64, value)


@native(3)
def repack_numbers(arguments, block, thread):  # type: ignore[no-untyped-def]
    """One block of scales or minima: (rows, groups) -> (groups, rows of a block)."""
    values, rows, groups, padded, size, out = words(arguments, 6)
    for lane in range(ROWS):
        row = block * ROWS + lane
        for group in range(padded):
            to = out + ((block * padded + group) * ROWS + lane) * size
            inside = row < rows and group < groups
            for i in range(size):
                value = 0
                if inside:
                    value = byte(values + (row * groups + group) * size + i)
                put_byte(to + i, value)
