"""Recipes of formats with tables: IQ4's codes, and IQ2's and IQ3's vectors of a grid.

A vector of a grid becomes the codes of 8 or 4 columns by a table of theirs, four bytes each, and
signs the highest bits of the codes by another one. The drawings are in the formats' own files.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from tramontane.block_format import Bytes, Half, Lookup, Quad, Recipe, Term

from .grids import grid
from .iq2 import numbers, parity
from .iq3 import S_NUMBERS, XXS_NUMBERS
from .iq4 import NUMBERS
from .recipes import halves

FOURS, OTHERS, SIGNS, OTHER_SIGNS = range(4)
"""IQ2's tables: codes of a vector's first four columns, of its last four, and their signs."""


def _spread(packed: NDArray[np.integer], width: int, first: int, up: int = 0) -> bytes:
    """The table of columns first .. first + 3: `width` bits each, in four bytes, shifted `up`."""
    total = np.zeros(len(packed), "<u4")
    for place in range(4):
        code = packed.astype("<u4") >> (first + place) * width & ((1 << width) - 1)
        total |= code << (8 * place + up)
    return total.tobytes()


def _eights(name: str) -> tuple[bytes, ...]:
    """IQ2's tables."""
    vectors = grid(name)
    codes = _spread(vectors, 2, 0), _spread(vectors, 2, 4)
    return (*codes, _spread(parity(), 1, 0), _spread(parity(), 1, 4))


def _nibbles(offset: int, quads: int) -> Bytes:
    """Scales of 4 bits, a byte's low half first: twice each, plus 1."""
    return Bytes(
        tuple(
            tuple(
                Term(offset + quad // 2 * 4, quad % 2 * 16 - 4 * place - 1, 0x1E << 8 * place)
                for place in range(4)
            )
            for quad in range(quads)
        ),
        less=-1,
    )


def _words(offset: int, step: int) -> Bytes:
    """Scales in the upper four bits of 8 words, `step` bytes apart: twice each, plus 1."""
    return Bytes(
        tuple(
            tuple(
                Term(offset + step * (4 * quad + place), 27 - 8 * place, 0x1E << 8 * place)
                for place in range(4)
            )
            for quad in range(2)
        ),
        less=-1,
    )


def _iq2(
    name: str, index: Iterable[tuple[Term, ...]], signs: tuple[Quad, ...], scale: Bytes, size: int
) -> Recipe:
    """index: of each vector of 8. signs: of each four columns."""
    group = 256 // (4 * len(scale.quads))
    codes = tuple((Lookup(each, table),) for each in index for table in (FOURS, OTHERS))
    return Recipe(
        size, 256, 3, group, (codes, signs), scale, super_scale=Half(0), tables=_eights(name),
        numbers=numbers(),
    )  # fmt: skip


def _even_signs(terms: list[Term]) -> tuple[Quad, ...]:
    """Signs of which a vector has seven bits."""
    return tuple((Lookup((term,), table),) for term in terms for table in (SIGNS, OTHER_SIGNS))


def _iq2_xxs() -> Recipe:
    index = [(Term(2 + 8 * (i // 4) + i % 4, 0, 255),) for i in range(32)]
    signs = [Term(6 + 8 * (i // 4), 7 * (i % 4), 127) for i in range(32)]
    return _iq2("IQ2_XXS", index, _even_signs(signs), _words(6, 8), 66)


def _iq2_xs() -> Recipe:
    index = [(Term(2 + 2 * i, 0, 511),) for i in range(32)]
    signs = [Term(2 + 2 * i, 9, 127) for i in range(32)]
    return _iq2("IQ2_XS", index, _even_signs(signs), _nibbles(66, 4), 74)


def _iq2_s() -> Recipe:
    index = [(Term(2 + i, 0, 255), Term(66 + i // 4, 2 * (i % 4) - 8, 0x300)) for i in range(32)]
    signs = tuple((Term(34 + i // 2, 4 * (i % 2), 15, spread=True),) for i in range(64))
    return _iq2("IQ2_S", index, signs, _nibbles(74, 4), 82)


def _iq3(
    name: str, codes: tuple[Quad, ...], scale: Bytes, sizes: tuple[float, ...], size: int,
    signs: tuple[bytes, ...],
) -> Recipe:  # fmt: skip
    """codes: of each four columns. signs: their tables, after that of the grid."""
    table = (*sizes, *(-size for size in sizes))
    tables = (_spread(grid(name), 4, 0), *signs)
    return Recipe(
        size, 256, 4, 32, (codes,), scale, super_scale=Half(0), tables=tables, numbers=table
    )


def _iq3_xxs() -> Recipe:
    codes = tuple(
        (
            Lookup((Term(2 + i, 0, 255),), 0),
            Lookup((Term(66 + i // 8 * 4, 7 * (i % 8 // 2), 127),), 1 + i % 2),
        )
        for i in range(64)
    )
    signs = _spread(parity(), 1, 0, 3), _spread(parity(), 1, 4, 3)
    return _iq3("IQ3_XXS", codes, _words(66, 4), XXS_NUMBERS, 98, signs)


def _iq3_s() -> Recipe:
    codes = tuple(
        (
            Lookup((Term(2 + i, 0, 255), Term(66 + i // 8, i % 8 - 8, 256)), 0),
            Lookup((Term(74 + i // 2, 4 * (i % 2), 15),), 1),
        )
        for i in range(64)
    )
    signs = (_spread(np.arange(16), 1, 0, 3),)
    return _iq3("IQ3_S", codes, _nibbles(106, 2), S_NUMBERS, 110, signs)


def _iq4_xs() -> Recipe:
    scale = tuple(
        tuple(
            term
            for place in range(4)
            for term in (
                Term(4, 16 * quad - 4 * place, 15 << 8 * place),
                Term(2, 8 * quad - 6 * place - 4, 0x30 << 8 * place),
            )
        )
        for quad in range(2)
    )
    return Recipe(
        136, 256, 4, 32, (halves(8, 16, 256),), Bytes(scale, less=32, signed=True),
        super_scale=Half(0), numbers=_numbers(),
    )  # fmt: skip


def _numbers() -> tuple[float, ...]:
    return tuple(map(float, NUMBERS))


@cache
def grid_recipe(name: str) -> Recipe | None:
    """A format's recipe; None for one that is translated."""
    made = {
        "IQ2_XXS": _iq2_xxs, "IQ2_XS": _iq2_xs, "IQ2_S": _iq2_s, "IQ3_XXS": _iq3_xxs,
        "IQ3_S": _iq3_s, "IQ4_XS": _iq4_xs,
    }.get(name)  # fmt: skip
    if name == "IQ4_NL":
        return Recipe(18, 32, 4, 32, (halves(2, 16, 32),), Half(0), numbers=_numbers())
    return None if made is None else made()
