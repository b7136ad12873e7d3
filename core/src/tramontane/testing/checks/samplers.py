"""What every sampler step must do, with its defaults and with every option bent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tramontane.errors import RequestError
from tramontane.plugin import Sampler, load
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane.sampling_params import RESTING

VOCABULARY = 64
NUMBERS = (-1, 0, 1, 2, 5, 50, 0.05, 0.5, 0.95, 1.5)
"""Values to try for each option; a step may refuse those that mean nothing to it."""


def context(seed: int = 7) -> SamplerContext:
    """A request of a model whose tokens are single characters."""
    return SamplerContext(
        vocab_size=VOCABULARY,
        seed=seed,
        context_length=2048,
        eos_ids=frozenset({1}),
        encode=lambda text: [ord(letter) % VOCABULARY for letter in text],
        decode=lambda tokens: "".join(chr(32 + token) for token in tokens),
        token_bytes=lambda token: bytes([32 + token]),
    )


def bent(offer: Sampler) -> Iterator[dict[str, Any]]:
    """The defaults, and the defaults with one option changed."""
    yield dict(offer.options)
    for option, default in offer.options.items():
        if isinstance(default, (int, float)):
            for number in NUMBERS:
                if isinstance(default, float) or isinstance(number, int):
                    yield {**offer.options, option: type(default)(number)}


def steps(offer: Sampler) -> Iterator[tuple[dict[str, Any], Step]]:
    """Those of the bent options that the offer accepts, and that switch it on."""
    for options in bent(offer):
        try:
            step = load(offer.build)(options, context())
        except RequestError:
            continue
        if step is not None:
            yield options, step


def given() -> Iterator[Candidates]:
    """Ordinary logits, and those at the edges of what a model and earlier steps can produce."""
    random = np.random.default_rng(0)
    ordinary = random.normal(0, 3, VOCABULARY).astype(np.float32)
    masked = np.where(random.random(VOCABULARY) < 0.7, -np.inf, ordinary).astype(np.float32)
    masked[5] = 0
    only = np.full(VOCABULARY, -np.inf, np.float32)
    only[9] = 1
    yield Candidates.of(ordinary)
    yield Candidates.of(np.zeros(VOCABULARY, np.float32))
    yield Candidates.of(ordinary * 1e4)
    yield Candidates.of(masked)
    yield Candidates.of(only)
    yield Candidates(np.array([17, 3, 40]), np.array([1.0, 1.0, -2.0], np.float32))
    yield Candidates(np.array([12]), np.array([-3.0], np.float32))


def histories() -> Iterator[History]:
    """From nothing at all to much repetition."""
    yield History([], [])
    yield History([1, 5, 9, 5, 9, 5], [9, 5, 9])
    yield History(list(range(VOCABULARY)), [3] * 100)


def test_the_defaults_build(offer: Sampler) -> None:
    step = load(offer.build)(dict(offer.options), context())
    assert step is None or callable(step)


def test_every_field_sets_an_option(offer: Sampler) -> None:
    unknown = set(offer.fields.values()) - set(offer.options)
    assert not unknown, f"fields= set options that do not exist: {sorted(unknown)}"


def test_resting_values_switch_it_off(offer: Sampler) -> None:
    resting = {option: RESTING[f] for f, option in offer.fields.items() if f in RESTING}
    if not resting:
        pytest.skip("no field of a request rests at a value that means off")
    step = load(offer.build)({**offer.options, **resting}, context())
    assert step is None, f"{resting} change nothing, so build must return None"


def test_a_step_leaves_sound_candidates(offer: Sampler) -> None:
    for options, _ in steps(offer):
        for candidates in given():
            for history in histories():
                step = load(offer.build)(options, context())
                left = step(candidates, history)
                told = f"{offer.name} with {options} of {candidates}"
                assert len(left.ids) == len(left.logits) > 0, f"{told} leaves nothing"
                assert len(set(left.ids.tolist())) == len(left.ids), f"{told} doubles ids"
                assert set(left.ids.tolist()) <= set(candidates.ids.tolist()), f"{told} adds ids"
                assert not np.isnan(left.logits).any(), f"{told} computes nan"
                assert not np.isposinf(left.logits).any(), f"{told} computes infinity"


def test_a_forbidden_token_stays_forbidden(offer: Sampler) -> None:
    for options, step in steps(offer):
        for candidates in given():
            forbidden = set(candidates.ids[np.isneginf(candidates.logits)].tolist())
            left = step(candidates, History([], []))
            revived = forbidden & set(left.ids[~np.isneginf(left.logits)].tolist())
            assert not revived, f"{offer.name} with {options} revives {sorted(revived)}"


def test_what_it_is_given_stays_unchanged(offer: Sampler) -> None:
    for options, step in steps(offer):
        for candidates in given():
            history = History([1, 2, 3], [4, 5])
            before = candidates.ids.copy(), candidates.logits.copy()
            step(candidates, history)
            told = f"{offer.name} with {options} writes into"
            assert np.array_equal(candidates.ids, before[0]), f"{told} the ids"
            assert np.array_equal(candidates.logits, before[1]), f"{told} the logits"
            assert (history.prompt, history.output) == ([1, 2, 3], [4, 5]), f"{told} the history"


def test_the_same_seed_gives_the_same_result(offer: Sampler) -> None:
    for options, _ in steps(offer):
        first, again = (load(offer.build)(options, context(seed=3)) for _ in range(2))
        for candidates in given():
            one = first(candidates, History([2, 3], []))
            two = again(candidates, History([2, 3], []))
            assert np.array_equal(one.ids, two.ids), f"{offer.name} with {options}"
            assert np.array_equal(one.logits, two.logits), f"{offer.name} with {options}"


def test_a_bad_option_is_a_request_error(offer: Sampler) -> None:
    numeric = [o for o, default in offer.options.items() if isinstance(default, (int, float))]
    if not numeric:
        pytest.skip("it has no numeric option")
    for option in numeric:
        for bad in (math.nan, "many"):
            with pytest.raises(RequestError) as caught:
                load(offer.build)({**offer.options, option: bad}, context())
            assert option in str(caught.value), f"{caught.value} does not name {option!r}"
