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
    assert (MEDIA.count("image"), MEDIA.count("audio")) == (7, 0)


def test_each_kind_has_rows_of_its_own() -> None:
    sound = MediaItem("audio", {"samples": np.zeros(3, np.float32)}, 2)
    rows = {"image": ROW, "audio": 8}
    prompt = (8, 8, 1, ROW, ROW, ROW)
    runs = runs_of(prompt, rows, [sound, ONE])
    assert [(run.start, run.count, run.item) for run in runs] == [(0, 2, sound), (3, 3, ONE)]
    with pytest.raises(ValueError, match="token 0 of the prompt stands for other media than image"):
        runs_of(prompt, rows, [ONE, sound])


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


def crossing(*items: tuple[str, int]) -> list[MediaItem]:
    return [
        MediaItem("image", {"name": np.frombuffer(name.encode(), np.uint8)}, 1, cross=rows)
        for name, rows in items
    ]


def test_a_token_sees_the_last_images_before_it() -> None:
    one, two, three = crossing(("one", 5), ("two", 7), ("three", 2))
    ids = [0, 9, 0, 0, 9, 9, 0]
    media = Media(runs_of(ids, 9, [one, two, three]))
    assert media.sight(0) is None
    seen = [(sight.items, sight.rows) for place in range(1, 9) if (sight := media.sight(place))]
    assert seen == [((one,), 5)] * 3 + [((two, three), 7)] + [((two, three), 9)] * 4
    assert media.regions == ()
    assert [media.cut(first, 10) for first in range(7)] == [1, 3, 2, 1, 1, 10, 10]
    assert media.items(0, 1) == []
    assert media.items(2, 2) == [one]
    assert media.items(3, 2) == [one, two, three]
    assert media.items(8, 1) == [two, three]
    assert media.count("image") == 3


def test_the_same_image_twice_side_by_side() -> None:
    (one,) = crossing(("one", 5))
    media = Media(runs_of([9, 9, 0], 9, [one, one]))
    assert [(run.start, run.count) for run in media.runs] == [(0, 1), (1, 1)]
    assert [sight.rows for sight in media.sights] == [5, 10]
    assert media.items(0, 3) == [one]


def test_what_an_encoder_makes_beside_the_prompt_is_part_of_the_digest() -> None:
    few, many = crossing(("one", 5), ("one", 6))
    assert few.digest != many.digest
    assert (few.encoded, many.encoded) == (5, 6)
