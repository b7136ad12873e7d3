"""The same formats as recipes: where in a block each part of the layout lies, four columns at once.

ggml puts columns that are 16, 32 or 64 apart into one byte, so the codes of four neighbouring
columns are the same bits of four neighbouring bytes: one word, one shift, one mask. The drawings
are in the formats' own files.
"""

from __future__ import annotations

from tramontane.block_format import Bytes, Half, Quad, Recipe, Term

LOW2, LOW4, LOW6, HIGH2, WHOLE = 0x03030303, 0x0F0F0F0F, 0x3F3F3F3F, 0x30303030, 0xFFFFFFFF


def halves(offset: int, run: int, count: int) -> tuple[Quad, ...]:
    """4-bit codes of `count` columns: `run` bytes hold `run` columns low, the next `run` high."""
    return tuple(
        (Term(offset + start // 2 + column % run, 4 * (column // run), LOW4),)
        for start in range(0, count, 2 * run)
        for column in range(0, 2 * run, 4)
    )


def quarters(offset: int) -> tuple[Quad, ...]:
    """2-bit codes of 256 columns: 32 bytes hold four times 32 columns."""
    return tuple(
        (Term(offset + column // 128 * 32 + column % 32, column % 128 // 32 * 2, LOW2),)
        for column in range(0, 256, 4)
    )


def eighths(offset: int) -> tuple[Quad, ...]:
    """Single bits of 256 columns: 32 bytes hold eight times 32 columns."""
    return tuple(
        (Term(offset + column % 32, column // 32, 0x01010101),) for column in range(0, 256, 4)
    )


def in_order(offset: int) -> tuple[Quad, ...]:
    """Single bits of 32 columns in the order of the columns."""
    return tuple((Term(offset, column, 0x0F, spread=True),) for column in range(0, 32, 4))


def words(offset: int, count: int) -> tuple[Quad, ...]:
    """`count` bytes as they are."""
    return tuple((Term(offset + start, 0, WHOLE),) for start in range(0, count, 4))


def k_minima(offset: int) -> Bytes:
    """Minima of Q4_K and Q5_K."""
    low = (Term(offset + 4, 0, LOW6),)
    high = (Term(offset + 8, 4, LOW4), Term(offset + 4, 2, HIGH2))
    return Bytes((low, high))


def k_scales(offset: int) -> Bytes:
    """Scales of Q4_K and Q5_K."""
    low = (Term(offset, 0, LOW6),)
    high = (Term(offset + 8, 0, LOW4), Term(offset, 2, HIGH2))
    return Bytes((low, high))


def q3_scales(offset: int) -> Bytes:
    """Scales of Q3_K."""
    quads = []
    for quarter in range(4):
        low = Term(offset + 4 * (quarter % 2), quarter // 2 * 4, LOW4)
        # the upper two bits go up by four
        high = Term(offset + 8, 2 * quarter - 4, HIGH2)
        quads.append((low, high))
    return Bytes(tuple(quads), less=32, signed=True)


RECIPES: dict[str, Recipe] = {
    "Q4_0": Recipe(18, 32, 4, 32, (halves(2, 16, 32),), Half(0), zero=8),
    "Q4_1": Recipe(20, 32, 4, 32, (halves(4, 16, 32),), Half(0), minimum=Half(2)),
    "Q5_0": Recipe(22, 32, 5, 32, (halves(6, 16, 32), in_order(2)), Half(0), zero=16),
    "Q5_1": Recipe(24, 32, 5, 32, (halves(8, 16, 32), in_order(4)), Half(0), minimum=Half(2)),
    "Q8_0": Recipe(34, 32, 8, 32, (words(2, 32),), Half(0), zero=128, flip=0x80),
    "Q8_1": Recipe(36, 32, 8, 32, (words(4, 32),), Half(0), zero=128, flip=0x80),
    "TQ2_0": Recipe(66, 256, 2, 256, (quarters(0),), Half(64), zero=1),
    "Q2_K": Recipe(
        84, 256, 2, 16, (quarters(16),), Bytes(tuple((Term(i, 0, LOW4),) for i in range(0, 16, 4))),
        minimum=Bytes(tuple((Term(i, 4, LOW4),) for i in range(0, 16, 4))),
        super_scale=Half(80), super_minimum=Half(82, negative=True),
    ),
    "Q3_K": Recipe(
        110, 256, 3, 16, (quarters(32), eighths(0)), q3_scales(96), zero=4, super_scale=Half(108)
    ),
    "Q4_K": Recipe(
        144, 256, 4, 32, (halves(16, 32, 256),), k_scales(4), minimum=k_minima(4),
        super_scale=Half(0), super_minimum=Half(2, negative=True),
    ),
    "Q5_K": Recipe(
        176, 256, 5, 32, (halves(48, 32, 256), eighths(16)), k_scales(4), minimum=k_minima(4),
        super_scale=Half(0), super_minimum=Half(2, negative=True),
    ),
    "Q6_K": Recipe(
        210, 256, 6, 16, (halves(0, 64, 256), quarters(128)),
        Bytes(words(192, 16), signed=True), zero=32, super_scale=Half(208),
    ),
}  # fmt: skip
"""Formats by name. One that is missing is translated."""
