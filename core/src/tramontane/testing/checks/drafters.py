"""What every drafter must do: guess tokens of any text, as many as asked at most, change nothing,
and change no answer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tramontane.drafting import Draft, Drafter
from tramontane.engine.draft_length import DraftLength
from tramontane.engine.engine import Engine
from tramontane.engine.options import EngineOptions
from tramontane.errors import UsageError
from tramontane.plugin import Drafter as Offer
from tramontane.plugin import load
from tramontane.registry import Registry
from tramontane.sampling import History
from tramontane.sampling_params import SamplingParams
from tramontane.testing.engine_runs import on_reference, plain_tokenizer
from tramontane.testing.random_model import random_model
from tramontane.testing.tiny_model import TINY

VOCABULARY = 32
NUMBERS = (-1, 0, 1, 2, 5, 1000)
"""Values to try for each option; a drafter may refuse those that mean nothing to it."""


def drafters(offer: Offer) -> Iterator[Drafter]:
    """With the defaults, and with one option changed, those that the offer accepts."""
    yield load(offer.build)(dict(offer.options))
    for option in offer.options:
        for number in NUMBERS:
            try:
                drafter = load(offer.build)({**offer.options, option: number})
            except UsageError:
                continue
            yield drafter


def histories() -> Iterator[History]:
    """Texts as they grow, a token or several at a time: random, repeated, of one token."""
    rng = random.Random(0)
    for prompt in ([3], [rng.randrange(VOCABULARY) for _ in range(60)], [1, 2, 3, 4] * 8, [7] * 30):
        yield History(list(prompt), [])


def test_guesses_are_tokens_and_no_more_than_asked(offer: Offer) -> None:
    for drafter in drafters(offer):
        for history in histories():
            guesses, rng = drafter.begin(), random.Random(1)
            for n in (1, 4, 16, 1, 0, 8):
                history.output.extend(rng.randrange(VOCABULARY) for _ in range(rng.randrange(1, 5)))
                before = (list(history.prompt), list(history.output))
                guessed = list(guesses.propose(history, n))
                assert len(guessed) <= n, f"{len(guessed)} tokens where {n} were asked for"
                assert all(isinstance(token, int) and token >= 0 for token in guessed)
                assert (list(history.prompt), history.output) == before, "the history was changed"


def test_requests_do_not_mix(offer: Offer) -> None:
    alone = load(offer.build)(dict(offer.options)).begin()
    drafter = load(offer.build)(dict(offer.options))
    first, second = drafter.begin(), drafter.begin()
    one, other = History([1, 2, 3, 4] * 4, [1]), History([9, 8, 7] * 6, [9])
    for token in (2, 3, 4, 1):
        second.propose(other, 4)
        assert list(first.propose(one, 4)) == list(alone.propose(one, 4))
        one.output.append(token)
        other.output.append(9)


def test_answers_are_the_same(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: 4)
    model = random_model(TINY)
    found: list[list[Any]] = []
    for draft in (None, Draft(offer, offer.options, 4)):
        tokenizer = plain_tokenizer(model.cfg.vocab_size)
        engine = Engine(on_reference(model), tokenizer, Registry([]), EngineOptions(draft=draft))
        try:
            found.append([answer(engine, tuple(each.prompt)) for each in histories()])
        finally:
            engine.close()
    assert found[0] == found[1]


def answer(engine: Engine, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """Greedy tokens."""
    from tramontane.engine.request import Event, Finished, Request

    events: list[Event] = []
    params = SamplingParams(max_tokens=24, temperature=0, ignore_eos=True)
    engine.submit(Request(prompt=prompt, params=params), events.append)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if events and isinstance(last := events[-1], Finished):
            assert last.result.error is None, last.result.error
            return last.result.token_ids
        time.sleep(0.001)
    raise AssertionError("no answer within a minute")
