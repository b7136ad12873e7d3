"""What holds of every step, whatever the logits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tramontane.plugin import load
from tramontane.sampling import Candidates, History, SamplerContext
from tramontane.sampling.chain import build_chain
from tramontane.sampling_params import SamplingParams
from tramontane_plugin_samplers.plugin import samplers

OFFERS = list(samplers())
ACTIVE: dict[str, dict[str, Any]] = {
    "logit_bias": {"bias": {0: 5.0, 2: -3.0}},
    "suppress": {"tokens": (1,)},
    "repetition": {},
    "frequency_presence": {"frequency": 0.5, "presence": -0.5},
    "seq_repetition": {"flat_penalty": 1.0, "min_length": 2, "tolerance": 1},
    "dry": {},
    "top_n_sigma": {},
    "top_k": {"k": 3},
    "tail_free": {"z": 0.5},
    "typical": {"p": 0.5},
    "top_p": {"p": 0.5},
    "top_a": {"a1": 0.2},
    "min_p": {"p": 0.2},
    "xtc": {"probability": 1.0},
    "temperature": {"range": 0.5},
    "greedy": {},
    "mirostat1": {},
    "mirostat2": {},
}
tokens = st.lists(st.integers(0, 3), max_size=12)
logits = st.lists(
    st.one_of(st.just(-math.inf), st.floats(-1e4, 1e4, width=32), st.sampled_from([0.0, 1.0])),
    min_size=1,
    max_size=40,
).filter(lambda values: max(values[2:] or values[:1]) > -math.inf)


def build(name: str, vocab_size: int) -> Any:
    offer = next(offer for offer in OFFERS if offer.name == name)
    context = SamplerContext(
        vocab_size=max(vocab_size, 4),
        seed=1,
        context_length=64,
        eos_ids=frozenset(),
        encode=lambda text: [],
        decode=lambda ids: "",
    )
    return load(offer.build)({**offer.options, **ACTIVE[name]}, context)


def test_every_step_is_tried() -> None:
    assert set(ACTIVE) == {offer.name for offer in OFFERS}


@pytest.mark.parametrize("name", ACTIVE)
@settings(max_examples=50)
@given(values=logits, prompt=tokens, output=tokens, order=st.randoms(use_true_random=False))
def test_masks_hold_and_something_is_left(
    name: str, values: list[float], prompt: list[int], output: list[int], order: Any
) -> None:
    given_logits = np.array(values, np.float32)
    before = given_logits.copy()
    history = History(prompt, output)
    step, other = build(name, len(values)), build(name, len(values))
    after = step(Candidates.of(given_logits), history)
    assert np.array_equal(given_logits, before)
    assert after.logits.dtype == np.float32
    assert not np.isnan(after.logits).any()
    assert not np.isposinf(after.logits).any()
    assert len(set(after.ids.tolist())) == len(after.ids) == len(after.logits)
    assert np.isneginf(after.logits[np.isneginf(before[after.ids])]).all()
    if len(values) > 3 or name not in ("suppress",):
        assert np.isfinite(after.logits).any()
    # the order in which the candidates come changes nothing
    turned = list(range(len(values)))
    order.shuffle(turned)
    index = np.array(turned)
    again = other(Candidates(index, before[index]), history)
    possible = dict(zip(after.ids.tolist(), after.logits.tolist(), strict=True))
    also = dict(zip(again.ids.tolist(), again.logits.tolist(), strict=True))
    assert {k: v for k, v in possible.items() if v > -math.inf} == pytest.approx(
        {k: v for k, v in also.items() if v > -math.inf}, rel=1e-4, abs=1e-4
    )


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("size", [1, 2, 3, 5000])
def test_equal_logits_and_tiny_vocabularies(name: str, size: int) -> None:
    if name == "suppress" and size < 2:
        return
    for value in (0.0, -1e4, 1e4):
        after = build(name, size)(Candidates.of(np.full(size, value, np.float32)), History([], []))
        assert np.isfinite(after.logits).any()


FULL = {
    "temperature": 0.9, "top_k": 20, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.99,
    "tfs_z": 0.99, "top_a": 0.01, "top_n_sigma": 3.0, "xtc_probability": 0.5,
    "repetition_penalty": 1.1, "frequency_penalty": 0.1, "dry_multiplier": 0.5,
    "dynatemp_range": 0.2, "logit_bias": {3: 1.0}, "suppress_tokens": (4,),
}  # fmt: skip


def context(seed: int) -> SamplerContext:
    return SamplerContext(
        vocab_size=3000,
        seed=seed,
        context_length=64,
        eos_ids=frozenset(),
        encode=lambda text: [],
        decode=lambda ids: "",
    )


@pytest.mark.parametrize("more", [{}, {"temperature": 0}, {"mirostat": 2}, {"mirostat": 1}])
def test_the_same_seed_gives_the_same_text(more: dict[str, Any]) -> None:
    mirostat = {"mirostat": 1, "temperature": 0.9, "repetition_penalty": 1.1}
    fields = {**(mirostat if "mirostat" in more else FULL), **more}

    def text(seed: int) -> list[int]:
        chain = build_chain(SamplingParams(**fields), OFFERS, context(seed))
        random, history = np.random.default_rng(0), History([1, 2, 3], [])
        for _ in range(60):
            logits = random.normal(0, 2, 3000).astype(np.float32)
            history.output.append(chain.draw(logits, history))
        return history.output

    assert text(1) == text(1)
    assert (text(1) == text(2)) == (fields["temperature"] == 0)
    assert 4 not in text(1)
