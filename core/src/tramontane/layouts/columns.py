"""Columns of a matrix in any layout: what one of several ranks has of it."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from .affine import Affine
from .codebook import Codebook
from .codes import PLANES
from .dense import Dense
from .layout import Layout
from .row_groups import RowGroups


def column_step(layout: Layout) -> int | None:
    """Between which columns a layout can be cut: at multiples of this number; None: nowhere, as
    its columns are stored in another order."""
    if isinstance(layout, Dense):
        return 1
    if isinstance(layout, RowGroups):
        return math.lcm(*(8 // width for width in PLANES[layout.bits]))
    if isinstance(layout, Affine | Codebook):
        steps = (layout.shape[1] // each.shape[1] for each in _coarse(layout))
        return math.lcm(*steps, *(8 // width for width in PLANES[layout.bits]))
    return None


def columns(layout: Layout, start: int, stop: int) -> Layout:
    """The columns from start to before stop, (rows, stop - start), the same numbers exactly.

    Raises ValueError where the layout cannot be cut there.
    """
    whole, step = layout.shape[1], column_step(layout)
    if step is None or start % step or (stop % step and stop != whole):
        raise ValueError(f"columns {start} to {stop} of {whole} are no whole groups of {step}")

    def cut(tensor: Tensor) -> Tensor:
        return tensor[:, start * tensor.shape[1] // whole : stop * tensor.shape[1] // whole]

    whole_ones = [getattr(layout, name, None) for name in ("table", "group_of")]
    return layout.map(lambda t: t if any(t is each for each in whole_ones) else cut(t))


def _coarse(layout: Any) -> list[Tensor]:
    """The scales of all levels."""
    names = ("scale", "minimum", "super_scale", "super_minimum", "zero")
    found = (getattr(layout, name, None) for name in names)
    return [each for each in found if isinstance(each, Tensor)]
