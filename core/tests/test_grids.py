"""Grids of tiles: their order, and which has an image's proportions."""

from __future__ import annotations

import pytest
from tramontane.media.grids import closest, grids


def test_grids_are_in_the_order_of_their_tiles() -> None:
    assert [columns * rows for columns, rows in grids(2, 5)] == [2, 2, 3, 3, 4, 4, 4, 5, 5]
    assert grids(1, 1) == [(1, 1)]


@pytest.mark.parametrize(
    ("size", "grid"),
    [((1000, 1000), [1, 1]), ((2000, 2000), [2, 2]), ((600, 6000), [1, 10]), ((1500, 500), [3, 1])],
)
def test_the_closest_is_larger_for_a_larger_image(size: tuple[int, int], grid: list[int]) -> None:
    assert closest(*size, grids(1, 10), 1000) == grid
