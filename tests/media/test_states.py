"""Images in prompts of a model that keeps states beside keys and values: where a prompt is gone on
from, and the same bits on every way there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM
from tramontane.engine.kv_cache import BLOCK_SIZE
from tramontane.engine.request import Request, RequestResult
from tramontane.engine.scheduler import SNAPSHOT_EVERY
from tramontane.media.item import MediaItem
from tramontane.sampling_params import SamplingParams

from .compared import request
from .folders import picture, write
from .test_invariance import bits
from .tiled import TILED

VISION = TILED["lfm2-vl"]
PARAMS = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True, logprobs=True)
BEGINNING = "".join(chr(97 + i * i % 23) for i in range(SNAPSHOT_EVERY - 12))
"""Letters, so many that the image behind them has rows on both sides of a snapshot."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("states")
    write(made, VISION)
    return made


@pytest.fixture(params=["cpu", "reference"])
def ways(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[LLM, LLM]]:
    """With a prefix cache, and without."""
    exact = {"device": request.param, "dtype": "f32", "kv_type": "f32", "activations": "f32"}
    more: dict[str, Any] = exact | {"overrides": {"max_position_embeddings": 2048}}
    with (
        LLM(folder, num_ctx=1024, **more) as llm,
        LLM(folder, num_ctx=1024, prefix_cache=False, **more) as plain,
    ):
        yield llm, plain


def images(llm: LLM) -> list[MediaItem]:
    prepare = llm.inner.processors["image"].prepare
    return [prepare(picture(70, 90, seed)) for seed in (0, 1)]


def asked(llm: LLM, text: str, *items: MediaItem) -> Request:
    return request(llm, text.replace("#", VISION.mark), list(items), params=PARAMS)


def ended(llm: LLM, request: Request) -> RequestResult:
    return llm._results([request])[0]


def check(llm: LLM, found: RequestResult, expected: RequestResult) -> None:
    """The same bits on the CPU backend, where the order of sums does not depend on the step."""
    if llm.report.device == "cpu":
        assert bits(found) == bits(expected)
        return
    assert found.token_ids == expected.token_ids
    pairs = zip(found.logprobs or (), expected.logprobs or (), strict=True)
    assert max(abs(one.logprob - other.logprob) for one, other in pairs) < 1e-4


def image_end(request: Request) -> int:
    """The rows of the whole blocks up to the last image's end."""
    assert request.media is not None
    return request.media.runs[-1].end // BLOCK_SIZE * BLOCK_SIZE


def test_another_question_about_an_image_goes_on_behind_it(ways: tuple[LLM, LLM]) -> None:
    llm, plain = ways
    one, other = images(llm)
    first = asked(llm, "Look here: # What is that, and why?", one)
    second = asked(llm, "Look here: # Who made it, and with what?", one)
    different = asked(llm, "Look here: # What is that, and why?", other)
    for sent, known in (
        (first, 0), (second, image_end(second)), (different, 0),
        (first, (len(first.prompt) - 1) // BLOCK_SIZE * BLOCK_SIZE),
    ):  # fmt: skip
        found = ended(llm, replace(sent, id=f"{id(sent)}-{known}"))
        assert found.usage.cached_tokens == known
        check(llm, found, ended(plain, replace(sent, id=f"{id(sent)}-plain-{known}")))


def test_a_snapshot_among_the_rows_of_an_image(ways: tuple[LLM, LLM]) -> None:
    llm, plain = ways
    one, other = images(llm)
    first = asked(llm, BEGINNING + "# and # are what?", one, other)
    second = asked(llm, BEGINNING + "# is another question", one)
    assert first.media is not None
    assert first.media.regions_within(SNAPSHOT_EVERY, 1) == [first.media.regions[0]]
    assert ended(llm, first).usage.cached_tokens == 0
    found = ended(llm, second)
    assert found.usage.cached_tokens == SNAPSHOT_EVERY
    check(llm, found, ended(plain, second))


def test_a_conversation_goes_on(ways: tuple[LLM, LLM]) -> None:
    llm, plain = ways
    one, other = images(llm)
    first = asked(llm, "[user]# What is that?[assistant]", one)
    answer = ended(llm, first).token_ids
    more = asked(llm, "[user]#[assistant]", other)
    assert more.media is not None
    assert first.media is not None
    before = (*first.prompt, *answer)
    moved = tuple(replace(run, start=run.start + len(before)) for run in more.media.runs)
    media = replace(first.media, runs=(*first.media.runs, *moved))
    longer = Request(prompt=(*before, *more.prompt), media=media, params=PARAMS)
    found = ended(llm, longer)
    assert found.usage.cached_tokens >= len(first.prompt) // BLOCK_SIZE * BLOCK_SIZE
    check(llm, found, ended(plain, longer))


def test_a_chat_counts_its_image(folder: Path) -> None:
    parts = [{"type": "image", "image": picture(70, 90)}, {"type": "text", "text": "What?"}]
    with LLM(folder) as llm:
        found = llm.chat([{"role": "user", "content": parts}], max_tokens=3)
        assert found.usage.image_tokens == images(llm)[0].rows
        assert found.usage.completion_tokens <= 3


def test_a_session_keeps_nothing_and_answers_the_same(ways: tuple[LLM, LLM]) -> None:
    """A state cannot go back to where the first image begins."""
    llm, plain = ways
    one, _ = images(llm)
    first = asked(plain, "# What is that?", one)
    kept = ended(plain, replace(first, keep=True))
    resumed = ended(plain, replace(first, id="resumed", resume=kept.snapshot))
    assert resumed.usage.cached_tokens == 0
    check(llm, resumed, kept)


def test_several_answers_to_one_prompt(ways: tuple[LLM, LLM]) -> None:
    llm, plain = ways
    one, other = images(llm)
    first = asked(llm, "# and #: what are these two?", one, other)
    followers = [replace(first, id=f"follower-{i}", fork_of=first.id) for i in (1, 2)]
    alone = ended(plain, first)
    for found in llm._results([first, *followers]):
        check(llm, found, alone)


def longer(llm: LLM, text: str, *items: MediaItem) -> Request:
    return replace(asked(llm, text, *items), params=PARAMS.model_copy(update={"max_tokens": 40}))


@pytest.mark.parametrize(
    "options",
    [{"state_slots": 1}, {"state_slots": 2, "batch_size": 13}, {"kv_tokens": 144, "max_seqs": 3},
     {"kv_tokens": 144, "batch_size": 9, "prefix_cache": False},
     {"kv_tokens": 144, "media_cache": 1}],
    ids=str,
)  # fmt: skip
def test_the_same_bits_where_slots_and_blocks_are_few(
    folder: Path, options: dict[str, Any]
) -> None:
    texts = (("# What is that?", 1), ("Say # or # now", 2), ("#", 1), ("just text, no more", 0))
    with LLM(folder, prefix_cache=False) as plain:
        known = images(plain)
        expected = [bits(ended(plain, longer(plain, t, *known[:n]))) for t, n in texts]
    with LLM(folder, **options) as llm:
        for _ in range(2):
            found = llm._results([longer(llm, t, *known[:n]) for t, n in [*texts, *texts]])
            assert [bits(each) for each in found] == [*expected, *expected]
        if "kv_tokens" in options:
            assert llm.inner.engine.stats().preemptions
