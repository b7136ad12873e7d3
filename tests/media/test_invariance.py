"""The same bits for a prompt with images or sounds: alone or in company, in one chunk or many, on a
prefix hit or computed anew, after preemption."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM
from tramontane.engine.request import Request, RequestResult
from tramontane.media.item import MediaItem
from tramontane.sampling_params import SamplingParams

from .compared import request
from .folders import picture, write
from .latents import ALL
from .sounds import HEARING, sound

PARAMS = SamplingParams(temperature=0, max_tokens=24, ignore_eos=True, logprobs=True)
NAMES = ["gemma3", "qwen2.5-vl", "qwen3-vl", "lfm2-vl", "mllama", "gemma3n", "phi4-multimodal"]
"""Rows that see each other, positions in sections, rows added behind layers, states, layers that
cross-attend, sounds, and adapters of the checkpoint's own; `./dev test --full` takes the others
too."""
if os.environ.get("TRAMONTANE_FULL") == "1":
    NAMES += [
        "mistral3",
        "idefics3",
        "llama4",
        "idefics2",
        "gemma3n-images",
        "qwen2-audio",
        "minicpm-o-sounds",
        "phi4-multimodal-sounds-folders",
    ]
BOTH = {**ALL, **HEARING}


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp(request.param)
    write(folder, BOTH[request.param])
    return folder, BOTH[request.param]


def bits(result: RequestResult) -> tuple[Any, ...]:
    assert result.error is None
    assert result.logprobs is not None
    return result.token_ids, tuple(one.logprob for one in result.logprobs)


def item(llm: LLM, seed: int) -> MediaItem:
    """Of what the model takes."""
    processor = next(iter(llm.inner.processors.values()))
    given = picture(70, 90, seed) if processor.kind == "image" else sound(0.8, seed)
    return processor.prepare(given)


def asked(llm: LLM, mark: str) -> list[Request]:
    """Two prompts with media, of which one has two, and one of text."""
    one, other = (item(llm, seed) for seed in (0, 1))
    return [
        request(llm, f"Here {mark} is what I saw yesterday", [one], params=PARAMS),
        request(llm, f"{mark} and {mark}", [other, one], params=PARAMS),
        Request(prompt=tuple(range(60, 90)), params=PARAMS),
    ]


def alone(folder: Path, mark: str) -> list[tuple[Any, ...]]:
    with LLM(folder, prefix_cache=False) as llm:
        return [bits(llm._results([one])[0]) for one in asked(llm, mark)]


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 5}, {"batch_size": 16, "prefix_cache": False}, {"kv_tokens": 128},
     {"media_cache": 1}],
)  # fmt: skip
def test_the_same_bits_in_any_company(case: tuple[Path, Any], options: dict[str, Any]) -> None:
    folder, vision = case
    expected = alone(folder, vision.mark)
    with LLM(folder, **options) as llm:
        for _ in range(2):  # the second time much is known
            requests = [*asked(llm, vision.mark), *asked(llm, vision.mark)]
            found = [bits(result) for result in llm._results(requests)]
            assert found == [*expected, *expected]


def test_a_known_item_is_a_hit_and_another_is_none(case: tuple[Path, Any]) -> None:
    folder, vision = case
    with LLM(folder) as llm:
        rows = llm.inner.engine.media
        assert rows is not None
        one, same, other = (item(llm, seed) for seed in (0, 0, 1))
        text = f"This {vision.mark} is of something, and my question about it is rather long:"

        def ask(given: MediaItem, question: str) -> RequestResult:
            return llm._results([request(llm, text + question, [given], params=PARAMS)])[0]

        first = ask(one, "what?")
        assert rows.encoded == 1
        again = ask(same, "who?")
        assert rows.encoded == 1
        different = ask(other, "what?")
        assert rows.encoded == 2
        assert bits(first) != bits(different)
        assert first.usage.cached_tokens == 0
        if vision.name not in (
            "gemma3",
            "gemma3n",
        ):  # its layers with windows forget what they have passed
            assert again.usage.cached_tokens > one.rows
        assert different.usage.cached_tokens < 16
