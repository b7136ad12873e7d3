"""From a format's blocks straight to interleaved ones, for `translation.py`: one pass, no copies.

A list of stores with constant places, `recipe_plan.py`'s, is emitted as it stands: a kernel's inner
loop is a block of one row, without a branch.
"""

from __future__ import annotations

from ast import literal_eval
from typing import Any

from llvmlite import ir

from tramontane_backend_cpu.numba_setup import family, native
from tramontane_backend_cpu.vector import instruction_set as llvm
from tramontane_backend_cpu.vector.memory import put_word, word, words
from tramontane_backend_cpu.vector.operation import Emit, operation, types
from tramontane_backend_cpu.vector.tiles import ROWS

FIELDS = (
    "sources", "rows", "count", "size", "low", "high", "scale", "minimum", "super_scale",
    "super_minimum", "damaged", "tables",
)  # fmt: skip
"""sources: addresses of the rows, counted from block 0. rows: how many there are.
count: of the format's blocks in a row, size: bytes of one. low .. super_minimum: addresses of the
arrays. damaged: address of what is not 0 afterwards if some
scale is not finite. tables: address of the recipe's tables, one after the other."""
TARGETS = FIELDS[4:10]
SPREAD, LOWEST = 0x00204081, 0x01010101
"""Times the first, the lowest four bits of a number are the lowest of four bytes; under the
second."""


@operation(
    lambda told, tables, source, low, high, scale, minimum, above, above_minimum: types.int64
)
def translate_block(
    emit: Emit, told: str, tables: Any, source: Any, low: Any, high: Any, scale: Any, minimum: Any,
    above: Any, above_minimum: Any,
) -> Any:  # fmt: skip
    """Do a plan's stores for one row; the targets are where its lane is. Returns how many halves
    are infinite or no numbers."""
    builder = emit.builder
    targets = (low, high, scale, minimum, above, above_minimum)
    damaged = llvm.LONG(0)
    for target, offset, kind, terms, change in literal_eval(told):
        value = None
        for *term, left in terms:
            if kind == "half":
                loaded = emit.load(source, term[0], llvm.HALF)
                part = builder.zext(loaded, llvm.INT)
            else:
                part = _term(emit, source, tables, term)
            if left:
                part = builder.shl(part, llvm.INT(left))
            value = part if value is None else builder.or_(value, part)
        if kind == "bytes":
            _put_bytes(emit, value, change, targets[target], offset)
            continue
        if change:
            value = builder.xor(value, llvm.INT(change))
        if kind == "codes":
            emit.store(value, targets[target], offset, 4)
            continue
        emit.store(builder.trunc(value, llvm.HALF), targets[target], offset, 2)
        exponent = builder.and_(value, llvm.INT(0x7C00))
        endless = builder.icmp_unsigned("==", exponent, llvm.INT(0x7C00))
        damaged = builder.add(damaged, builder.zext(endless, llvm.LONG))
    return damaged


def _term(emit: Emit, source: Any, tables: Any, term: list[Any]) -> Any:
    if len(term) == 4:
        place, right, mask, spread = term
        return _bits(emit, emit.load(source, place, llvm.INT), right, mask, spread)
    words_, start = term
    index = None
    for word_ in words_:
        part = _term(emit, source, tables, word_)
        index = part if index is None else emit.builder.or_(index, part)
    place = emit.builder.shl(emit.builder.zext(index, llvm.LONG), llvm.LONG(2))
    return emit.load(emit.builder.add(emit.integer(tables), place), start, llvm.INT)


def _bits(emit: Emit, value: Any, right: int, mask: int, spread: bool) -> Any:
    builder = emit.builder
    if right > 0:
        value = builder.lshr(value, llvm.INT(right))
    elif right < 0:
        value = builder.shl(value, llvm.INT(-right))
    if mask != 0xFFFFFFFF:
        value = builder.and_(value, llvm.INT(mask))
    if spread:
        value = builder.and_(builder.mul(value, llvm.INT(SPREAD)), llvm.INT(LOWEST))
    return value


def _put_bytes(emit: Emit, value: Any, less: int, target: Any, offset: int) -> None:
    """Four bytes, each to a group of its own, with `less` subtracted."""
    builder = emit.builder
    for index in range(4):
        one = builder.trunc(builder.lshr(value, llvm.INT(8 * index)), llvm.BYTE)
        if less:
            one = builder.sub(one, ir.Constant(llvm.BYTE, less % 256))
        emit.store(one, target, offset + ROWS * index)


@family
def translator(
    told: str, steps: tuple[int, int], sizes: tuple[int, int], groups: int, run: int
) -> Any:
    """The kernel for a plan: (arguments, first, last), blocks of rows first..last.

    Of one of the format's blocks: steps: bytes from one to the next in the planes; sizes: of a
    scale and of a minimum; groups: how many of these it has. run: blocks of a row at a time.
    """
    low_step, high_step = steps
    scale_size, least_size = sizes

    def translate(arguments, first, last):  # type: ignore[no-untyped-def]
        (sources, rows, count, size, low, high, scale, minimum, super_scale, super_minimum,
         damaged, tables) = words(arguments, 12)  # fmt: skip
        bad = 0
        for block in range(first, last):
            here = min(ROWS, rows - ROWS * block)
            for some in range(0, count, run):
                for lane in range(here):
                    place = lane // 16 * 64 + lane % 16 * 4
                    row = word(sources + 8 * (ROWS * block + lane))
                    for i in range(some, min(count, some + run)):
                        at = block * count + i
                        bad += translate_block(
                            told,
                            tables,
                            row + i * size,
                            low + at * low_step + place,
                            high + at * high_step + place,
                            scale + (at * groups * ROWS + lane) * scale_size,
                            minimum + (at * groups * ROWS + lane) * least_size,
                            super_scale + (at * ROWS + lane) * 2,
                            super_minimum + (at * ROWS + lane) * 2,
                        )
        if bad > 0:
            put_word(damaged, bad)

    return native(3)(translate)
