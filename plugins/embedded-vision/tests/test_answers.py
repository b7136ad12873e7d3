"""The model sees: pictures that it was never trained on, through the whole engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import measure
import pytest
from pictures import UNSEEN
from PIL import Image, ImageDraw
from tramontane import LLM

SEEDS = range(UNSEEN + 10_000_000, UNSEEN + 10_000_040)


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM("embedded-vision") as llm:
        yield llm


def test_nine_of_ten_pictures_are_named_right(llm: LLM) -> None:
    assert len(measure.wrong(llm, [measure.first(seed, "what") for seed in SEEDS])) <= 4


@pytest.mark.parametrize(
    ("trial", "most"),
    [(measure.second, 3), (measure.later, 3), (measure.of_two, 3), (measure.none, 0)],
)
def test_conversations_go_on(llm: LLM, trial: Callable[[int], measure.Trial], most: int) -> None:
    assert len(measure.wrong(llm, [trial(seed) for seed in SEEDS[:10]])) <= most


def test_the_picture_may_stand_behind_the_question(llm: LLM, tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(image).ellipse((90, 40, 210, 160), fill="blue")
    image.save(tmp_path / "circle.png")
    parts = [
        {"type": "text", "text": "What is in the picture?"},
        {"type": "image", "image": str(tmp_path / "circle.png")},
    ]
    for content in (parts, parts[::-1]):
        assert llm.chat([{"role": "user", "content": content}]).content == "a blue circle"


def test_answers_are_the_same_in_company(llm: LLM) -> None:
    """Prefix hits, kept images and other requests change nothing."""
    asked = [measure.first(seed, "what").messages for seed in SEEDS[:6]]
    alone = [llm.chat(messages, measure.GREEDY).content for messages in asked]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda each: llm.chat(each, measure.GREEDY).content, asked))
    assert together == alone


def test_it_takes_its_default_from_the_checkpoint(llm: LLM) -> None:
    """Decoding is greedy without being told."""
    messages = measure.first(SEEDS[0], "what").messages
    assert llm.chat(messages).content == llm.chat(messages, measure.GREEDY).content
    assert llm.chat(messages).usage.image_tokens == 16
