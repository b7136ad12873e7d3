"""Grids of square tiles, and which of them has an image's proportions (Chen et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Iterable


def grids(least: int, most: int) -> list[tuple[int, int]]:
    """(columns, rows) of `least` to `most` tiles, in transformers' order: those of as many tiles as
    a set has them."""
    found = {
        (columns, rows)
        for count in range(least, most + 1)
        for columns in range(1, count + 1)
        for rows in range(1, count + 1)
        if least <= columns * rows <= most
    }
    return sorted(found, key=math.prod)


def closest(height: int, width: int, among: Iterable[tuple[int, int]], tile: int) -> list[int]:
    """Rows and columns of the grid whose proportions are closest to an image's; of grids as close,
    a larger one if the image has more than half its pixels. among: of `grids`. tile: pixels of a
    tile's side."""
    apart_least, best = math.inf, [1, 1]
    for columns, rows in among:
        apart = abs(width / height - columns / rows)
        enough = width * height > 0.5 * tile * tile * columns * rows
        if apart < apart_least or (apart == apart_least and enough):
            apart_least, best = apart, [rows, columns]
    return best
