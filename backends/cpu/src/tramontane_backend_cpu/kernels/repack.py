"""From rows of packed codes to interleaved ones, for `packing.py`."""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.memory import byte, put_byte, put_short_word, words
from tramontane_backend_cpu.vector.memory import short_word as quad
from tramontane_backend_cpu.vector.tiles import ROWS

FIELDS = ("plane", "rows", "bytes", "width", "units", "out")
NUMBER_FIELDS = ("values", "rows", "groups", "padded_groups", "size", "out")


@njit
def swap(word, distance, mask):  # type: ignore[no-untyped-def]
    """Exchange the bits under `mask` with those `distance` above them."""
    moved = (word ^ (word >> distance)) & mask
    return word ^ moved ^ (moved << distance)


@njit
def across(word, width):  # type: ignore[no-untyped-def]
    """From 32 bits of codes in a row to four bytes that each have every fourth code of them.

    A code's place is a number of log2(32 / width) bits, whose lowest two become the highest; each
    swap exchanges two of them.
    """
    if width == 4:
        return swap(swap(word, 4, 0x00F000F0), 12, 0x0000F0F0)
    if width == 2:
        return swap(swap(word, 6, 0x00CC00CC), 12, 0x0000F0F0)
    if width == 1:
        word = swap(swap(word, 1, 0x22222222), 3, 0x0A0A0A0A)
        return swap(swap(word, 6, 0x00CC00CC), 12, 0x0000F0F0)
    return word


@native(3)
def repack_plane(arguments, block, thread):  # type: ignore[no-untyped-def]
    """One block of a bit plane: (rows, bytes), the first column in a byte's lowest bits."""
    plane, rows, size, width, units, out = words(arguments, 6)
    registers = ROWS // 16
    to_block = out + block * units * width * 4 * ROWS
    whole = size // 4
    for lane in range(ROWS):
        row = block * ROWS + lane
        source = plane + row * size
        to = to_block + lane // 16 * 64 + lane % 16 * 4
        filled = whole if row < rows else 0
        for register in range(filled):
            packed = quad(source + 4 * register) & 0xFFFFFFFF
            put_short_word(to + register * registers * 64, across(packed, width))
        for register in range(filled, units * width):
            packed = 0
            for i in range(min(4, size - 4 * register) if row < rows else 0):
                packed |= byte(source + 4 * register + i) << (8 * i)
            put_short_word(to + register * registers * 64, across(packed, width))


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
