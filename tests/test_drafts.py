"""Drafts: guessed tokens save steps, and change no token, no log-probability, no text."""

from __future__ import annotations

import os
import queue
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.engine.draft_length import DraftLength
from tramontane.engine.request import Event, Finished, Request
from tramontane.errors import TramontaneError
from tramontane.sampling import History

from .drafted import Oracle, all_answered, asked, compare, same, told
from .tiny import write_model

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
LENGTHS = (1, 3, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drafted")
    write_model(folder)
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[tuple[LLM, LLM]]:
    """With drafts and without; little memory, so that sequences give way now and then."""
    settings: dict[str, Any] = {"threads": 1, "kv_tokens": 1024, "max_seqs": 4}
    with LLM(folder, draft="ngram", **settings) as drafting, LLM(folder, **settings) as plain:
        yield drafting, plain
        for llm in (drafting, plain):
            assert llm.inner.engine.drain(timeout=60)
            assert llm.inner.engine.stats().kv_blocks_used == 0


@pytest.mark.parametrize("length", LENGTHS)
def test_random_requests_are_answered_as_without(both: tuple[LLM, LLM], length: int) -> None:
    first = 1000 * length
    count = 500 if FULL else 40
    assert compare(both, [asked(first + each) for each in range(count)], length) > 80


@pytest.mark.parametrize("draft", ["suffix:n=1:tokens=600:max=5", "ngram:n=1:max=3"])
def test_random_requests_with_each_drafter(folder: Path, both: tuple[LLM, LLM], draft: str) -> None:
    requests = [asked(each) for each in range(500 if FULL else 24)]
    expected = all_answered(both[1], requests)
    with LLM(folder, draft=draft, threads=1, kv_tokens=1024, max_seqs=4) as llm:
        same(requests, all_answered(llm, requests), expected)


def test_earlier_answers_are_remembered(
    folder: Path, both: tuple[LLM, LLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: 4)
    params = SamplingParams(max_tokens=61, temperature=1.0, seed=5, ignore_eos=True)
    expected = both[1].generate("a tale", params)
    with LLM(folder, draft="suffix", threads=1) as llm:
        found = [llm.generate("a tale", params) for _ in range(2)]
    assert all(told(each.choices[0]) == told(expected.choices[0]) for each in found)
    assert found[1].usage.accepted_tokens > found[0].usage.accepted_tokens + 30


def test_a_scored_prompt_is_scored_as_without(both: tuple[LLM, LLM]) -> None:
    found = []
    for llm in both:
        params = SamplingParams(max_tokens=40, temperature=0, ignore_eos=True)
        request = Request(prompt=tuple(b"abcabcabcabcabc"), params=params, score_prompt=True)
        events: queue.Queue[Event] = queue.Queue()
        llm.inner.engine.submit(request, events.put)
        while not isinstance(event := events.get(timeout=60), Finished):
            pass
        found.append(told(event.result))
    assert found[0] == found[1]


def test_a_repetition_takes_fewer_steps_and_is_counted(both: tuple[LLM, LLM]) -> None:
    bias = {97: 100.0}
    params = SamplingParams(max_tokens=150, temperature=0, ignore_eos=True, logit_bias=bias)
    before = both[0].inner.engine.stats()
    found, expected = (llm.generate("abababab", params) for llm in both)
    after = both[0].inner.engine.stats()
    assert told(found.choices[0]) == told(expected.choices[0])
    usage = found.usage
    assert 0 < usage.accepted_tokens <= usage.drafted_tokens
    assert after.steps - before.steps == 150 - usage.accepted_tokens
    assert after.drafted_tokens - before.drafted_tokens == usage.drafted_tokens
    assert after.accepted_tokens - before.accepted_tokens == usage.accepted_tokens
    assert expected.usage.drafted_tokens == 0


@pytest.mark.parametrize("fault", [RuntimeError("broken"), [300, 1], [-1], [None]], ids=str)
def test_a_faulty_drafter_costs_nobody_an_answer(both: tuple[LLM, LLM], fault: Any) -> None:
    class Faulty(Oracle):
        def propose(self, history: History, n: int) -> list[int]:
            if isinstance(fault, Exception):
                raise fault
            return fault  # type: ignore[no-any-return]

        def begin(self) -> Oracle:
            return self

    params = SamplingParams(max_tokens=20, temperature=0, ignore_eos=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(both[0].inner.engine.drafting.guesser, "drafter", Faulty())
        found, expected = (llm.generate("abc", params) for llm in both)
    assert told(found.choices[0]) == told(expected.choices[0])


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ("ngrams", "ngram"),
        ("ngram:3", "'3' is no option=value of ngram; it takes n=3, m=5, max=16"),
        ("ngram:k=3", "'k=3' is no option=value of ngram"),
        ("ngram:n=x", "n='x' must be a whole number"),
        ("ngram:n=0", "n=0 must be 1 to 32"),
        ("ngram:n=6", "m=5 must be n=6 to 32"),
        ("ngram:max=0", "max=0 must be 1 to 256"),
        ("none:max=2", "none"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, draft: str, said: str) -> None:
    with pytest.raises(TramontaneError, match=re.escape(said)):
        LLM(folder, draft=draft)
