"""Drafts in models with recurrent layers: a wrong guess takes their states back."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.engine.draft_length import DraftLength
from tramontane.engine.request import Event, Finished, Request, RequestResult

from .drafted import Oracle, all_answered, asked, compare, same, told
from .parity import reference
from .parity.families import FAMILIES
from .tiny import SPECIALS, write_tokenizer

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
LENGTHS = (1, 3, 16)
EVERY = {
    "qwen3-next": "experts", "lfm2": "", "mamba2": "", "qwen3.5": "", "mamba": "", "bamba": "",
    "falcon-h1": "", "zamba2": "", "kimi-linear": "", "minimax": "", "nemotron-h": "",
}  # fmt: skip
SOME = tuple(EVERY)[:3]
SETTINGS: dict[str, Any] = {"threads": 1, "kv_tokens": 1024, "max_seqs": 4, "num_ctx": 256}


def write_recurrent(folder: Path, name: str) -> None:
    """A tiny model of a family, with a tokenizer of bytes."""
    record, vocabulary = FAMILIES[name], 256 + len(SPECIALS)
    variant = EVERY[name] or next(iter(record.variants))
    settings = {
        **record.shared, **record.variants[variant], "vocab_size": vocabulary,
        "eos_token_id": vocabulary - 2, "bos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    reference.save(record, reference.random(record, settings, 5), folder)
    write_tokenizer(folder)


@pytest.fixture(scope="module", params=EVERY if FULL else SOME)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recurrent")
    write_recurrent(path, request.param)
    return path


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[tuple[LLM, LLM]]:
    with LLM(folder, draft="ngram", **SETTINGS) as drafting, LLM(folder, **SETTINGS) as plain:
        yield drafting, plain
        for llm in (drafting, plain):
            engine = llm.inner.engine
            assert engine.drain(timeout=60)
            assert engine.stats().kv_blocks_used == 0
            states = engine.cache.states
            assert len(states._free) + states.snapshots == states.count  # none was lost


@pytest.mark.parametrize("length", LENGTHS)
def test_random_requests_are_answered_as_without(both: tuple[LLM, LLM], length: int) -> None:
    first, count = 1000 * length, 500 if FULL else 12
    assert compare(both, [asked(first + each) for each in range(count)], length) > 20


def test_a_model_with_states_drafts(folder: Path, both: tuple[LLM, LLM]) -> None:
    requests = [asked(seed) for seed in range(8)]
    expected = all_answered(both[1], requests)
    with pytest.MonkeyPatch.context() as patch, LLM(folder, draft=folder, **SETTINGS) as llm:
        patch.setattr(DraftLength, "next", lambda self, worth: 3)
        same(requests, all_answered(llm, requests), expected)
        params = SamplingParams(max_tokens=41, temperature=0, ignore_eos=True)
        usage = llm.generate("abc", params).usage
        assert usage.accepted_tokens == usage.drafted_tokens > 20
        assert len(llm.inner.engine.drafting.guesser.cache.states._free) == 8  # type: ignore


def test_what_an_answer_leaves_can_be_gone_on_from(both: tuple[LLM, LLM]) -> None:
    """Its last step may have had rows that do not count."""
    drafting, plain = both
    for count in range(17, 24):
        first = ended(plain, tuple(b"a tale"), count, keep=True)
        oracle = Oracle()
        oracle.answers[tuple(b"a tale")] = [(*first.token_ids, 1, 2, 3, 4)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DraftLength, "next", lambda self, worth: 5)
            assert drafting.inner.engine.drafting is not None
            patch.setattr(drafting.inner.engine.drafting.guesser, "drafter", oracle)
            mine = ended(drafting, tuple(b"a tale"), count, keep=True)
        assert told(mine) == told(first)
        prompt = (*b"a tale", *first.token_ids, *b" and more")
        results = [ended(plain, prompt, 5, resume=each.snapshot) for each in (first, mine)]
        assert told(results[0]) == told(results[1])


def test_a_step_that_fails_leaves_nothing_behind(
    both: tuple[LLM, LLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were in it are computed anew, without their drafts."""
    drafting, plain = both
    requests = [
        {"prompt": [seed + 1] * 9, "params": {"max_tokens": 40, "temperature": 0, "seed": seed,
                                              "ignore_eos": True}}
        for seed in range(4)
    ]  # fmt: skip
    expected = all_answered(plain, requests)
    oracle = Oracle()
    for request, completion in zip(requests, expected, strict=True):
        oracle.learn(request["prompt"], completion)
    assert drafting.inner.engine.drafting is not None
    monkeypatch.setattr(drafting.inner.engine.drafting.guesser, "drafter", oracle)
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: 3)
    model = drafting.inner.loaded.model
    step, failed = model.step, []

    def failing(tokens: Any, batch: Any) -> Any:
        found = step(tokens, batch)
        if not failed and len(batch.spans) > 1 and len(tokens) > 2 * len(batch.spans):
            failed.append(len(tokens))
            raise RuntimeError("once")
        return found

    monkeypatch.setattr(model, "step", failing)
    found = all_answered(drafting, requests)
    same(requests, found, expected)


def ended(llm: LLM, prompt: tuple[int, ...], count: int, **more: Any) -> RequestResult:
    params = SamplingParams(max_tokens=count, temperature=0, ignore_eos=True)
    events: queue.Queue[Event] = queue.Queue()
    llm.inner.engine.submit(Request(prompt=prompt, params=params, **more), events.put)
    while not isinstance(event := events.get(timeout=60), Finished):
        pass
    assert event.result.error is None
    return event.result
