"""XTC and mirostat: what they do over many tokens."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from tramontane.sampling import Candidates, History, Step
from tramontane.sampling.chain import Chain
from tramontane_plugin_samplers.mirostat import Mirostat, zipf_count

Build = Callable[..., Step | None]
FOUR = np.log(np.array([0.1, 0.2, 0.3, 0.4])).astype(np.float32)


def excluded(step: Step | None, count: int) -> list[bool]:
    assert step is not None
    return [
        bool(np.isneginf(step(Candidates.of(FOUR), History([], [])).logits).any())
        for _ in range(count)
    ]


def test_xtc_excludes_as_often_as_asked_and_as_seeded(build: Build) -> None:
    first = excluded(build("xtc", probability=0.3, seed=5), 2000)
    assert 0.25 < sum(first) / 2000 < 0.35
    assert first == excluded(build("xtc", probability=0.3, seed=5), 2000)
    assert first != excluded(build("xtc", probability=0.3, seed=6), 2000)


def test_xtc_does_not_draw_the_numbers_of_the_draw(build: Build) -> None:
    uniform = np.random.Generator(np.random.PCG64(5)).random(2000)
    assert excluded(build("xtc", probability=0.3, seed=5), 2000) != (uniform < 0.3).tolist()


def test_xtc_leaves_the_lowest_of_equals_out(build: Build) -> None:
    step = build("xtc", probability=1.0, threshold=0.2)
    assert step is not None
    after = step(Candidates.of(np.zeros(4, np.float32)), History([], []))
    assert np.isneginf(after.logits).tolist() == [True, True, True, False]


def zipf(size: int, exponent: float = 1.1) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (-exponent * np.log(np.arange(1, size + 1))).astype(np.float32)


@pytest.mark.parametrize("name", ["mirostat1", "mirostat2"])
@pytest.mark.parametrize("tau", [2.0, 4.0])
def test_mirostat_holds_the_surprise_at_tau(build: Build, name: str, tau: float) -> None:
    logits = zipf(5000)
    step = build(name, tau=tau, eta=0.1, vocab_size=5000)
    assert isinstance(step, Mirostat)
    surprises: list[float] = []

    def watched(candidates: Candidates, history: History) -> Candidates:
        nonlocal left
        left = step(candidates, history)
        return left

    left = Candidates.of(logits)
    chain, history = Chain([watched], seed=3), History([], [])
    for _ in range(1500):
        token = chain.draw(logits, history)
        history.output.append(token)
        surprises.append(-math.log2(left.probabilities()[left.ids == token][0]))
    assert sum(surprises[300:]) / 1200 == pytest.approx(tau, abs=0.25)


def test_mirostat_2_cuts_at_mu_and_learns_from_the_token_drawn(build: Build) -> None:
    # surprises in bits: 1, 2, 3, 3
    logits = np.log(np.array([0.5, 0.25, 0.125, 0.125])).astype(np.float32)
    step = build("mirostat2", tau=1.25, eta=0.5)
    assert isinstance(step, Mirostat)
    history = History([], [])
    assert step.mu == 2.5
    assert step(Candidates.of(logits), history).ids.tolist() == [0, 1]
    # of those two token 1 has the probability 1/3
    history.output.append(1)
    step(Candidates.of(logits), history)
    assert step.mu == pytest.approx(2.5 - 0.5 * (math.log2(3) - 1.25))
    # nothing new was drawn, or it was not among the candidates: nothing to learn
    step(Candidates.of(logits), history)
    history.output.append(3)
    step(Candidates.of(logits), history)
    assert step.mu == pytest.approx(2.5 - 0.5 * (math.log2(3) - 1.25))


def test_mirostat_2_always_leaves_the_most_likely_token(build: Build) -> None:
    step = build("mirostat2", tau=0.0)
    assert step is not None
    assert step(Candidates.of(np.zeros(9, np.float32)), History([], [])).ids.tolist() == [0]


def test_mirostat_1_counts_as_its_formula_says() -> None:
    # for p_i = c / i^s the estimate of s is exact
    logits = zipf(100, 1.5).astype(np.float64)
    s, e, mu, n = 1.5, 0.5, 4.0, 5000
    expected = (e * 2**mu / (1 - n**-e)) ** (1 / s)
    assert zipf_count(logits, mu, n) == math.floor(expected)
    # s = 1: the limit e / (1 - n^-e) -> 1 / log n
    assert zipf_count(zipf(100, 1.0).astype(np.float64), 8.0, n) == math.floor(2**8 / math.log(n))


@pytest.mark.parametrize("mu", [-1000.0, 0.0, 1e6])
def test_mirostat_1_takes_what_follows_no_law(mu: float) -> None:
    assert 1 <= zipf_count(np.zeros(100), mu, 5000) <= 5000
    assert zipf_count(np.zeros(1), mu, 5000) == 1
    assert 1 <= zipf_count(np.array([1000.0, 0.0, -1000.0]), mu, 5000) <= 5000
