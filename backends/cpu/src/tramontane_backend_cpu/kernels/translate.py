"""From a format's blocks straight to interleaved ones, for `translation.py`: one pass, no copies.

What a recipe says becomes a list of stores with constant places, written out by `plan` and emitted
as it stands: a kernel's inner loop is a block of one row, without a branch.
"""

from __future__ import annotations

import threading
from ast import literal_eval
from dataclasses import replace
from typing import Any

from llvmlite import ir
from tramontane.layouts import PLANES
from tramontane.stored import Bytes, Half, Quad, Recipe

from tramontane_backend_cpu.numba_setup import native
from tramontane_backend_cpu.vector import instruction_set as llvm
from tramontane_backend_cpu.vector.chosen import SET
from tramontane_backend_cpu.vector.memory import put_word, word, words
from tramontane_backend_cpu.vector.operation import Emit, operation, types
from tramontane_backend_cpu.vector.tiles import ROWS

FIELDS = (
    "sources", "rows", "count", "size", "low", "high", "scale", "minimum", "super_scale",
    "super_minimum", "damaged",
)  # fmt: skip
"""sources: addresses of the rows, counted from block 0. rows: how many there are.
count: of the format's blocks in a row, size: bytes of one. low .. super_minimum: addresses of the
arrays. damaged: address of what is not 0 afterwards if some
scale is not finite."""
RUN = 256
"""Columns of a row before it is the next one's turn: its blocks are small, and lie in a line."""
TARGETS = FIELDS[4:10]
SPREAD, LOWEST = 0x00204081, 0x01010101
"""Times the first, the lowest four bits of a number are the lowest of four bytes; under the
second."""
HALF_BYTES = 0x0F0F0F0F
UNITS = {Half: 2, Bytes: 1}
_KERNELS: dict[Recipe, Any] = {}
_ONE = threading.Lock()


def plan(recipe: Recipe) -> str:
    """Each store as (target, byte within the target, kind, words that are or-ed, change).

    A word: (offset, right shift, mask, spread, left shift). kind: "codes" for four bytes at once,
    change: what is xor-ed; "bytes" for four apart, change: what is subtracted; "half".
    """
    stores: list[tuple[Any, ...]] = []
    for target, (width, quads) in enumerate(zip(PLANES[recipe.bits], recipe.planes, strict=True)):
        phases = 8 // width
        for register in range(len(quads) // phases):
            terms = [
                (*told, width * phase)
                for phase in range(phases)
                for told in _terms(quads[register * phases + phase])
            ]
            flip = recipe.flip * 0x01010101 if target == 0 else 0
            stores.append((target, 64 * SET.registers * register, "codes", terms, flip))
    numbers = (recipe.scale, recipe.minimum, recipe.super_scale, recipe.super_minimum)
    if shares_bytes(recipe):
        numbers = (_whole_bytes(recipe.scale), None, *numbers[2:])
    for target, value in enumerate(numbers, 2):
        if isinstance(value, Half):
            stores.append((target, 0, "half", [(value.offset, 0, 0xFFFF, False, 0)],
                           0x8000 * value.negative))  # fmt: skip
        elif value is not None:
            for index, quad in enumerate(value.quads):
                terms = [(*told, 0) for told in _terms(quad)]
                stores.append((target, 4 * ROWS * index, "bytes", terms, value.less))
    return repr(stores)


def shares_bytes(recipe: Recipe) -> bool:
    """Whether each scale is the lower half of a byte of which the minimum is the upper."""
    scale, minimum = recipe.scale, recipe.minimum
    if not isinstance(scale, Bytes) or not isinstance(minimum, Bytes) or scale.less | minimum.less:
        return False
    upper = [tuple(replace(term, shift=term.shift + 4) for term in quad) for quad in scale.quads]
    halves = all(
        len(quad) == 1 and (quad[0].shift, quad[0].mask, quad[0].spread) == (0, HALF_BYTES, False)
        for quad in scale.quads
    )
    return halves and tuple(upper) == minimum.quads


def _whole_bytes(scale: Half | Bytes) -> Bytes:
    """Scales with the minima that share their bytes."""
    assert isinstance(scale, Bytes)
    return Bytes(tuple((replace(quad[0], mask=0xFFFFFFFF),) for quad in scale.quads))


def _terms(quad: Quad) -> list[tuple[int, int, int, bool]]:
    return [(term.offset, term.shift, term.mask, term.spread) for term in quad]


@operation(lambda told, source, low, high, scale, minimum, above, above_minimum: types.int64)
def translate_block(
    emit: Emit, told: str, source: Any, low: Any, high: Any, scale: Any, minimum: Any, above: Any,
    above_minimum: Any,
) -> Any:  # fmt: skip
    """Do a plan's stores for one row; the targets are where its lane is. Returns how many halves
    are infinite or no numbers."""
    builder = emit.builder
    targets = (low, high, scale, minimum, above, above_minimum)
    damaged = llvm.LONG(0)
    for target, offset, kind, terms, change in literal_eval(told):
        value = None
        for place, right, mask, spread, left in terms:
            if kind == "half":
                loaded = emit.load(source, place, llvm.HALF)
                part = builder.zext(loaded, llvm.INT)
            else:
                part = _bits(emit, emit.load(source, place, llvm.INT), right, mask, spread)
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
            one = builder.sub(one, ir.Constant(llvm.BYTE, less))
        emit.store(one, target, offset + ROWS * index)


def translator(recipe: Recipe) -> Any:
    """The kernel for a recipe: (arguments, first, last), blocks of rows first..last."""
    with _ONE:  # readers ask at the same time, and compiling it twice takes twice as long
        if recipe not in _KERNELS:
            _KERNELS[recipe] = _compiled(recipe)
        return _KERNELS[recipe]


def _compiled(recipe: Recipe) -> Any:
    told = plan(recipe)
    widths = (*PLANES[recipe.bits], 0)
    low_step = recipe.count // 32 * 64 * SET.registers * widths[0]
    high_step = recipe.count // 32 * 64 * SET.registers * widths[1]
    groups, run = recipe.count // recipe.group, max(1, RUN // recipe.count)
    scale_size = UNITS[type(recipe.scale)]
    least_size = UNITS[type(recipe.minimum)] if recipe.minimum is not None else 0

    def translate(arguments, first, last):  # type: ignore[no-untyped-def]
        (sources, rows, count, size, low, high, scale, minimum, super_scale, super_minimum,
         damaged) = words(arguments, 11)  # fmt: skip
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
