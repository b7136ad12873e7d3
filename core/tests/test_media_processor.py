"""Several kinds of media in one prompt: marks, rows, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import AddedToken, models, pre_tokenizers
from tramontane.errors import RequestError
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, by_kind, with_media
from tramontane.tokenizer.tokenizer import Tokenizer

ROWS = {"image": "<|image|>", "audio": "<|audio|>"}


class Sounds(MediaProcessor):
    kind, mark, row = "audio", "<sound>", ROWS["audio"]

    def prepare(self, given: Any) -> MediaItem:
        return MediaItem("audio", {"samples": given}, len(given))


class Images(MediaProcessor):
    mark, row = "<image>", ROWS["image"]
    beside = (Sounds(),)

    def prepare(self, given: Any) -> MediaItem:
        return MediaItem("image", {"pixels": given}, len(given))

    def written(self, item: MediaItem) -> str:
        return f"<{self.row * item.rows}>"


KINDS = by_kind(Images())
IMAGE = KINDS["image"].prepare(np.zeros((2, 3, 3), np.uint8))
SOUND = KINDS["audio"].prepare(np.zeros(3, np.float32))


@pytest.fixture
def tokenizer() -> Tokenizer:
    words = ["a", "b", "<", ">", "<sound>", "[UNK]"]
    vocabulary = {word: place for place, word in enumerate(words)}
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.add_special_tokens([AddedToken(row, special=True) for row in ROWS.values()])
    return Tokenizer(inner)


def test_items_stand_where_the_marks_of_their_kind_do(tokenizer: Tokenizer) -> None:
    ids, media = with_media("a<sound>b<image>a<sound>", [IMAGE, SOUND, SOUND], KINDS, tokenizer)
    assert [(run.start, run.count, run.item) for run in media.runs] == [
        (1, 3, SOUND), (6, 2, IMAGE), (10, 3, SOUND),
    ]  # fmt: skip
    assert len(ids) == 13
    assert (media.count("audio"), media.count("image")) == (6, 2)


@pytest.mark.parametrize(
    ("text", "items", "said"),
    [
        ("a<image>", [IMAGE, SOUND], "1 sounds, and its text 0 times '<sound>'"),
        ("a<image><image><sound>", [IMAGE, SOUND], "1 images, and its text 2 times '<image>'"),
        ("a<image><|audio|>", [IMAGE], None),
        (
            "a<image><sound><|audio|>",
            [IMAGE, SOUND],
            "has 6 places for rows of media, not 5: leave",
        ),
    ],
)
def test_marks_and_rows_are_as_many(
    text: str, items: list[MediaItem], said: str | None, tokenizer: Tokenizer
) -> None:
    if said is None:  # a kind that is not among the items has no rows: its token is a text's
        assert with_media(text, items, KINDS, tokenizer)[1].count("audio") == 0
        return
    with pytest.raises(RequestError, match=said):
        with_media(text, items, KINDS, tokenizer)
