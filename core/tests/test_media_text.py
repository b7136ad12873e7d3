"""The text of a prompt with images: marks, what stands for images, and templates that take text."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from tramontane.chat.content import marked
from tramontane.errors import RequestError
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Pixels, by_kind, with_media
from tramontane.media.resize import standardized


class Numbered(MediaProcessor):
    mark, row = "<pic>", "R"

    def prepare(self, pixels: Pixels) -> MediaItem:
        return MediaItem("image", {"pixels": pixels}, 2)

    def rendered(self, text: str) -> str:
        if "<no>" in text:
            raise ValueError("there is a no")
        return text.replace("<old>", self.mark)

    def assembled(self, pieces: Any, written: Any) -> str:
        return super().assembled(pieces, [f"{index}{text}" for index, text in enumerate(written)])


class Letters:
    named: ClassVar[dict[str, str]] = {}
    inner = Tokenizer(models.WordLevel({"R": 1, "a": 2, "0": 3, "1": 4}, "a"))

    def encode_chat(self, text: str) -> list[int]:
        return [self.inner.token_to_id(letter) for letter in text]


def test_what_stands_for_an_image_may_depend_on_its_place() -> None:
    processor, tokenizer = Numbered(), Letters()
    items = [processor.prepare(np.zeros((1, 1, 3), np.uint8)) for _ in "ab"]
    ids, media = with_media("a<old>a<pic>", items, by_kind(processor), tokenizer)  # type: ignore[arg-type]
    assert ids == (2, 3, 1, 1, 2, 4, 1, 1)
    assert [(run.start, run.count) for run in media.runs] == [(2, 2), (6, 2)]
    with pytest.raises(RequestError, match="there is a no"):
        with_media("<no>", items, by_kind(processor), tokenizer)  # type: ignore[arg-type]


def test_a_template_that_takes_text_gets_the_mark() -> None:
    text = {"type": "text", "text": "what?"}
    message = {"role": "user", "content": [{"type": "image"}, text]}
    found = marked(message, {"image": "<pic>"})
    assert found == {"role": "user", "content": [{"type": "text", "text": "<pic>"}, text]}
    for other in ({"role": "user", "content": "hi"}, {"role": "user", "content": [text]}):
        assert marked(other, {"image": "<pic>"}) is other


def test_standardized_as_torch_does_step_by_step() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    scaled = torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).div(255)
    middle, spread = (torch.tensor(each)[:, None, None] for each in (mean, std))
    expected = scaled.sub(middle).div(spread)
    assert np.array_equal(standardized(pixels, mean, std), expected.numpy())
