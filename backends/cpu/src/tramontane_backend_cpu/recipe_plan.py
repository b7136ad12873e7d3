"""Convert a recipe to the list of stores from which `kernels/translate.py` creates a kernel."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from tramontane.bit_planes import PLANES
from tramontane.block_format import Bytes, Half, Lookup, Quad, Recipe, Term

from .kernels.translate import translator
from .vector.target import SET
from .vector.tiles import ROWS

RUN = 256
"""Columns of a row that are processed before the next row: their blocks share a cache line."""
HALF_BYTES = 0x0F0F0F0F
UNITS = {Half: 2, Bytes: 1}


@cache
def translator_of(recipe: Recipe) -> Any:
    """The kernel that repacks blocks according to a recipe."""
    low, high = (*PLANES[recipe.bits], 0)[:2]
    plane = recipe.count // 32 * 64 * SET.registers
    least = 0 if recipe.minimum is None else UNITS[type(recipe.minimum)]
    groups, run = recipe.count // recipe.group, max(1, RUN // recipe.count)
    sizes = UNITS[type(recipe.scale)], least
    return translator(plan(recipe), (plane * low, plane * high), sizes, groups, run)


def plan(recipe: Recipe) -> str:
    """Each store as (target, byte within the target, kind, words that are or-ed, change).

    A word: (offset, right shift, mask, spread, left shift), or (words of an index, offset of a
    table in all tables, left shift). kind: "codes" for four bytes at once,
    change: what is xor-ed; "bytes" for four apart, change: what is subtracted; "half".
    """
    stores: list[tuple[Any, ...]] = []
    starts = [sum(map(len, recipe.tables[:i])) for i in range(len(recipe.tables))]
    for target, (width, quads) in enumerate(zip(PLANES[recipe.bits], recipe.planes, strict=True)):
        phases = 8 // width
        for register in range(len(quads) // phases):
            terms = [
                (*told, width * phase)
                for phase in range(phases)
                for told in _terms(quads[register * phases + phase], starts)
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
                terms = [(*told, 0) for told in _terms(quad, starts)]
                stores.append((target, 4 * ROWS * index, "bytes", terms, value.less))
    return repr(stores)


def shares_bytes(recipe: Recipe) -> bool:
    """Whether each scale and its minimum are the lower and the upper half of one byte."""
    scale, minimum = recipe.scale, recipe.minimum
    if not isinstance(scale, Bytes) or not isinstance(minimum, Bytes) or scale.less | minimum.less:
        return False
    lower, upper = [_only_term(quad) for quad in scale.quads], []
    for term in lower:
        if term is None or (term.shift, term.mask, term.spread) != (0, HALF_BYTES, False):
            return False
        upper.append((replace(term, shift=4),))
    return tuple(upper) == minimum.quads


def _only_term(quad: Quad) -> Term | None:
    return quad[0] if len(quad) == 1 and isinstance(quad[0], Term) else None


def _whole_bytes(scale: Half | Bytes) -> Bytes:
    """The scales combined with the minima in the same bytes."""
    assert isinstance(scale, Bytes)
    terms = [_only_term(quad) for quad in scale.quads]
    return Bytes(tuple((replace(term, mask=0xFFFFFFFF),) for term in terms if term is not None))


def _terms(quad: Quad, starts: list[int]) -> list[tuple[Any, ...]]:
    """starts: of each table in all tables."""
    return [
        (_terms(term.index, starts), starts[term.table]) if isinstance(term, Lookup)
        else (term.offset, term.shift, term.mask, term.spread)
        for term in quad
    ]  # fmt: skip
