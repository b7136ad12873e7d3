"""Each step against its formula, written down plainly."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tramontane.plugin import load
from tramontane.sampling import Candidates, History, SamplerContext
from tramontane_plugin_samplers.plugin import samplers

OFFERS = {offer.name: offer for offer in samplers()}
CONTEXT = SamplerContext(
    vocab_size=64,
    seed=1,
    context_length=4096,
    eos_ids=frozenset(),
    encode=lambda text: [ord(character) for character in text],
    decode=lambda ids: "".join(map(chr, ids)),
)
# values far enough apart that no rounding decides what is kept
logits = st.lists(st.integers(-24, 24).map(lambda n: n / 4), min_size=1, max_size=30)


def kept(name: str, values: list[float], **options: Any) -> list[int]:
    offer = OFFERS[name]
    step = load(offer.build)({**offer.options, **options}, CONTEXT)
    result = step(Candidates.of(np.array(values, np.float32)), History([], []))
    return result.ids[result.logits > -np.inf].tolist()


def softmax(values: list[float]) -> list[float]:
    weights = [math.exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]


def falling(values: list[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


@given(logits, st.integers(1, 35), st.integers(0, 35))
def test_top_k(values: list[float], k: int, min_keep: int) -> None:
    expected = sorted(falling(values)[: max(k, min_keep)])
    assert kept("top_k", values, k=k, min_keep=min_keep) == expected


@given(logits, st.floats(0.001, 0.999))
def test_top_p(values: list[float], p: float) -> None:
    probabilities, order, mass = softmax(values), falling(values), 0.0
    for count, token in enumerate(order, 1):
        mass += probabilities[token]
        if abs(mass - p) < 1e-5:
            return
        if mass > p:
            assert kept("top_p", values, p=p) == sorted(order[:count])
            return


def test_top_p_where_the_largest_do_not_reach_p() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    weights = np.exp(values.astype(np.float64))
    order = np.lexsort((np.arange(len(values)), -values))
    count = int(np.searchsorted(np.cumsum(weights[order]), 0.9 * weights.sum())) + 1
    assert count > 1024
    # the sum of as many single-precision probabilities may miss by a few tokens
    found = kept("top_p", values.tolist(), p=0.9)
    assert abs(len(found) - count) <= 3
    assert set(found) ^ set(order[:count].tolist()) <= set(order[count - 3 : count + 3].tolist())


@given(logits, st.floats(0.01, 1))
def test_min_p(values: list[float], p: float) -> None:
    probabilities = softmax(values)
    bound = p * max(probabilities)
    if any(abs(q / bound - 1) < 1e-4 for q in probabilities):
        return
    assert kept("min_p", values, p=p) == [i for i, q in enumerate(probabilities) if q >= bound]


@given(logits, st.floats(0.01, 1), st.floats(0.1, 3))
def test_top_a(values: list[float], a1: float, a2: float) -> None:
    probabilities = softmax(values)
    most = max(probabilities)
    bound = min(a1 * most**a2, most)
    expected = [i for i, q in enumerate(probabilities) if q >= bound]
    if any(abs(q / bound - 1) < 1e-4 for q in probabilities if q != most):
        return
    assert kept("top_a", values, a1=a1, a2=a2) == expected


@given(logits, st.floats(0.1, 4))
def test_top_n_sigma(values: list[float], n: float) -> None:
    bound = max(values) - n * float(np.std(values))
    if any(abs(value - bound) < 1e-4 for value in values if value != max(values)):
        return
    assert kept("top_n_sigma", values, n=n) == [i for i, v in enumerate(values) if v >= bound]


@given(logits, st.floats(0.01, 0.99))
def test_typical(values: list[float], p: float) -> None:
    probabilities = softmax(values)
    entropy = -sum(q * math.log(q) for q in probabilities)
    distance = [abs(-math.log(q) - entropy) for q in probabilities]
    order = sorted(range(len(values)), key=lambda i: (distance[i], i))
    gaps = sorted(set(distance))
    if any(0 < b - a < 1e-5 for a, b in pairwise(gaps)):
        return
    mass = 0.0
    for count, token in enumerate(order, 1):
        mass += probabilities[token]
        if abs(mass - p) < 1e-5:
            return
        if mass > p:
            assert kept("typical", values, p=p) == sorted(order[:count])
            return


@given(logits, st.floats(0.01, 0.99))
def test_tail_free(values: list[float], z: float) -> None:
    order = falling(values)
    probabilities = [softmax(values)[token] for token in order]
    slopes = [a - b for a, b in pairwise(probabilities)]
    bends = [abs(a - b) for a, b in pairwise(slopes)]
    if sum(bends) < 1e-4:
        return
    running, count = 0.0, len(values)
    for place, bend in enumerate(bends):
        running += bend / sum(bends)
        if abs(running - z) < 1e-4:
            return
        if running > z:
            count = max(1, place)
            break
    assert kept("tail_free", values, z=z) == sorted(order[:count])


@given(logits, st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.2, 3))
def test_temperatures(values: list[float], t: float, reach: float, exponent: float) -> None:
    probabilities = softmax(values)
    entropy = -sum(q * math.log(q) for q in probabilities)
    share = max(entropy / math.log(len(values)), 0) ** exponent if len(values) > 1 else 0
    low, high = max(0, t - reach), t + reach
    for given_range, now in ((0.0, t), (reach, low + (high - low) * share)):
        if now < 0.01:
            continue
        step = load(OFFERS["temperature"].build)(
            {"t": t, "range": given_range, "exponent": exponent}, CONTEXT
        )
        if step is None:
            assert t == 1
            continue
        after = step(Candidates.of(np.array(values, np.float32)), History([], []))
        expected = softmax([value / now for value in values])
        assert after.probabilities() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def naive_dry(tokens: list[int], allowed: int, breakers: set[int]) -> dict[int, int]:
    """The length of the longest repetition that each token would continue."""
    found: dict[int, int] = {}
    for end in range(len(tokens) - 1):
        length = 0
        while length <= end and tokens[end - length] == tokens[-1 - length]:
            if tokens[end - length] in breakers:
                break
            length += 1
        follower = tokens[end + 1]
        if length >= allowed and follower not in breakers:
            found[follower] = max(found.get(follower, 0), length)
    return found


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 4), st.sampled_from([-1, 12, 30]))
def test_dry(tokens: list[int], allowed: int, last_n: int) -> None:
    options = {"multiplier": 0.5, "base": 1.5, "allowed_length": allowed, "last_n": last_n}
    step = load(OFFERS["dry"].build)({**options, "breakers": ("\x03",)}, CONTEXT)
    after = step(Candidates.of(np.zeros(64, np.float32)), History(tokens[:20], tokens[20:]))
    expected = np.zeros(64)
    seen = tokens if last_n < 0 else tokens[-last_n:]
    for token, length in naive_dry(seen, allowed, {3}).items():
        expected[token] = -0.5 * 1.5 ** (length - allowed)
    assert after.logits == pytest.approx(expected, rel=1e-5)


@given(
    st.lists(st.integers(0, 7), max_size=20),
    st.lists(st.integers(0, 7), max_size=20),
    st.sampled_from([-1, 1, 5, 64]),
)
def test_penalties_step_by_step(prompt: list[int], output: list[int], last_n: int) -> None:
    """A step that sees the text grow, and be taken back, never differs from a fresh look."""
    values = np.array([-2, -1, -0.5, 0, 0.5, 1, 2, 4], np.float32)
    repetition = load(OFFERS["repetition"].build)({"penalty": 1.5, "last_n": last_n}, CONTEXT)
    counting = load(OFFERS["frequency_presence"].build)(
        {"frequency": 0.25, "presence": 0.5, "last_n": last_n}, CONTEXT
    )
    lengths = [*range(len(output) + 1), len(output) // 2, 0, len(output)]
    for length in lengths:
        history = History(prompt, output[:length])
        both = [*prompt, *output[:length]]
        seen = set(both if last_n < 0 else both[-last_n:])
        own = output[:length] if last_n < 0 else output[:length][-last_n:]
        divided = [
            (v / 1.5 if v > 0 else v * 1.5) if i in seen else v
            for i, v in enumerate(values.tolist())
        ]
        counted = [
            v - 0.25 * own.count(i) - 0.5 * (i in own) for i, v in enumerate(values.tolist())
        ]
        candidates = Candidates.of(values)
        assert repetition(candidates, history).logits == pytest.approx(divided)
        assert counting(candidates, history).logits == pytest.approx(counted)
