"""Random requests of all kinds, for what may change no answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tramontane import LLM, SamplingParams
from tramontane.engine.draft_length import DraftLength
from tramontane.engine.request import RequestResult
from tramontane.results import Completion
from tramontane.sampling import History

REGEX = {"type": "regex", "value": "([a-d]{2}, and then the same again, ){3}[0-9]{2}!"}


def asked(seed: int, adapters: Sequence[str] = ()) -> dict[str, Any]:
    """A random request. adapters: names that it may give."""
    rng = random.Random(seed)
    prompt = [rng.randrange(256) for _ in range(rng.randrange(1, 40))]
    given: dict[str, Any] = {"max_tokens": rng.randrange(1, 60), "seed": seed, "ignore_eos": True}
    given["temperature"] = rng.choice([0, 0, 0.3, 0.8, 1.5])
    if rng.random() < 0.3:
        given |= {"logprobs": True, "top_logprobs": rng.randrange(4)}
    if rng.random() < 0.2:
        given["stop"] = (chr(rng.randrange(97, 123)), "e ")
    if rng.random() < 0.2:
        given["n"] = rng.randrange(2, 4)
    if rng.random() < 0.3:
        given |= rng.choice(
            [{"repetition_penalty": 1.3}, {"frequency_penalty": 0.7}, {"dry_multiplier": 0.8},
             {"presence_penalty": 0.5, "top_p": 0.9}, {"top_k": 5}]
        )  # fmt: skip
    if given["temperature"] and not given.keys() & {"top_k", "top_p"} and rng.random() < 0.2:
        given["mirostat"] = 2
    if rng.random() < 0.2:
        given |= {"grammar": REGEX, "max_tokens": 120, "ignore_eos": False}
    if adapters and rng.random() < 0.4:
        given["adapter"] = rng.choice(adapters)
    return {"prompt": prompt, "params": given}


def answered(llm: LLM, request: dict[str, Any]) -> Completion:
    params = SamplingParams(**request["params"])
    prompt: list[int] = request["prompt"]
    return llm.generate(prompt, params)


def told(result: RequestResult) -> tuple[Any, ...]:
    """All that may not differ."""
    return (result.text, result.token_ids, result.finish_reason, result.stop, result.logprobs,
            result.prompt_logprobs, result.usage.completion_tokens)  # fmt: skip


def all_answered(llm: LLM, requests: Sequence[dict[str, Any]]) -> list[Completion]:
    """Four at a time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda each: answered(llm, each), requests))


def same(
    requests: Sequence[dict[str, Any]], some: Sequence[Completion], others: Sequence[Completion]
) -> None:
    """Nothing differs."""
    for request, mine, theirs in zip(requests, some, others, strict=True):
        pairs = zip(mine.choices, theirs.choices, strict=True)
        assert all(told(one) == told(other) for one, other in pairs), request


class Oracle:
    """Knows answers that were given without drafts, and errs now and then."""

    def __init__(self) -> None:
        self.answers: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        self.random = random.Random(0)

    def learn(self, prompt: Sequence[int], completion: Completion) -> None:
        known = self.answers.setdefault(tuple(prompt), [])
        known.extend(choice.token_ids for choice in completion.choices)

    def begin(self) -> Oracle:
        return self

    def propose(self, history: History, n: int) -> list[int]:
        done = tuple(history.output)
        for answer in self.answers.get(tuple(history.prompt), ()):
            if answer[: len(done)] == done:
                drafts = [*answer[len(done) :], 5, 6, 7][:n]
                if self.random.random() < 0.6 and drafts:
                    drafts[self.random.randrange(len(drafts))] = self.random.randrange(258)
                return drafts
        return [self.random.randrange(258) for _ in range(n)]


def compare(both: tuple[LLM, LLM], requests: Sequence[dict[str, Any]], length: int) -> int:
    """Tokens that came from drafts of so many at a time. both: the one with drafts first."""
    drafting, plain = both
    oracle = Oracle()
    expected = all_answered(plain, requests)
    for request, completion in zip(requests, expected, strict=True):
        oracle.learn(request["prompt"], completion)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DraftLength, "next", lambda self, worth: length)
        patch.setattr(DraftLength, "seen", lambda self, *counts: None)
        assert drafting.inner.engine.drafting is not None
        patch.setattr(drafting.inner.engine.drafting.guesser, "drafter", oracle)
        found = all_answered(drafting, requests)
    same(requests, found, expected)
    return sum(completion.usage.accepted_tokens for completion in found)
