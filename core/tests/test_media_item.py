"""Rows of media in a prompt: runs, regions, where a step ends, what a cache knows them by."""

from __future__ import annotations

import numpy as np
import pytest
from tramontane.media.item import Media, MediaItem, runs_of

ROW = 9


def item(rows: int, seed: int = 0) -> MediaItem:
    return MediaItem("image", {"pixels": np.full(3, seed, np.float32)}, rows)


ONE, TWO = item(3), item(4, 1)
PROMPT = (1, 2, ROW, ROW, ROW, 3, ROW, ROW, 4, ROW, ROW, 5)
MEDIA = Media(runs_of(PROMPT, ROW, [ONE, TWO]))


def test_an_item_may_have_tokens_between_its_rows() -> None:
    assert [(run.start, run.count, run.item, run.first) for run in MEDIA.runs] == [
        (2, 3, ONE, 0), (6, 2, TWO, 0), (9, 2, TWO, 2),
    ]  # fmt: skip
    assert MEDIA.regions == ((2, 5), (6, 11))
    assert MEDIA.count == 7


@pytest.mark.parametrize(("rows", "said"), [(6, "7 places for rows of media, not 6"), (8, "not 8")])
def test_places_and_rows_are_as_many(rows: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        runs_of(PROMPT, ROW, [item(rows)])


@pytest.mark.parametrize(
    ("first", "count", "causal", "mutual"),
    [(0, 12, 2, 2), (0, 1, 1, 1), (2, 12, 3, 3), (3, 1, 1, 2), (5, 9, 1, 1), (6, 2, 2, 5),
     (7, 9, 4, 4), (11, 1, 1, 1)],
)  # fmt: skip
def test_a_step_has_rows_of_one_region_or_of_none(
    first: int, count: int, causal: int, mutual: int
) -> None:
    assert MEDIA.cut(first, count) == causal
    assert Media(MEDIA.runs, mutual=True).cut(first, count) == mutual


@pytest.mark.parametrize(
    ("first", "count", "mutual"),
    [(0, 12, 12), (0, 4, 2), (2, 1, 3), (0, 8, 6), (3, 5, 3), (6, 2, 5), (5, 1, 1), (11, 1, 1)],
)
def test_in_company_only_what_sees_each_other_is_not_cut(
    first: int, count: int, mutual: int
) -> None:
    assert MEDIA.cut(first, count, company=True) == count
    assert Media(MEDIA.runs, mutual=True).cut(first, count, company=True) == mutual


def test_what_sees_each_other_is_computed_whole() -> None:
    assert [MEDIA.resumable(count) for count in (2, 4, 5, 8)] == [2, 4, 5, 8]
    together = Media(MEDIA.runs, mutual=True)
    assert [together.resumable(count) for count in (2, 4, 5, 8)] == [2, 2, 5, 6]


def test_a_block_is_known_by_what_stands_in_it() -> None:
    other = Media(runs_of(PROMPT, ROW, [item(3, 7), TWO]))
    assert MEDIA.told(0, 2) == other.told(0, 2) == b""
    assert MEDIA.told(0, 4) != other.told(0, 4)
    assert MEDIA.told(5, 7) == other.told(5, 7)
    assert MEDIA.told(2, 2) != MEDIA.told(3, 2), "other rows of the same item"


def test_items_are_known_by_content_and_shape() -> None:
    assert item(3).digest == ONE.digest != item(3, 1).digest
    flat, square = np.zeros(4, np.float32), np.zeros((2, 2), np.float32)
    assert MediaItem("image", {"a": flat}, 1).digest != MediaItem("image", {"a": square}, 1).digest
    assert (
        MediaItem("image", {"a": flat}, 1, "x").digest != MediaItem("image", {"a": flat}, 1).digest
    )


def test_positions_count_on_behind_the_prompt() -> None:
    positions = np.array([[0, 1, 1, 1, 3], [0, 1, 1, 2, 3]])
    media = Media((), positions=positions)
    assert media.shift(5) == -1
    found = media.sections(3, 4, 5)
    assert found is not None
    assert found.tolist() == [[1, 3, 4, 5], [2, 3, 4, 5]]
    assert Media(()).sections(0, 3, 5) is None
