"""Building and running one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tramontane.plugin import Sampler, load
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane_plugin_samplers.plugin import samplers


@pytest.fixture
def offers() -> dict[str, Sampler]:
    return {offer.name: offer for offer in samplers()}


@pytest.fixture
def context() -> Callable[..., SamplerContext]:
    """A vocabulary of one character per token."""

    def make(vocab_size: int = 128, seed: int = 1) -> SamplerContext:
        return SamplerContext(
            vocab_size=vocab_size,
            seed=seed,
            context_length=4096,
            eos_ids=frozenset(),
            encode=lambda text: [ord(character) for character in text],
            decode=lambda ids: "".join(map(chr, ids)),
        )

    return make


@pytest.fixture
def build(
    offers: dict[str, Sampler], context: Callable[..., SamplerContext]
) -> Callable[..., Step | None]:
    """(name, seed=, vocab_size=, **options): the options not given have the offer's defaults."""

    def make(name: str, *, vocab_size: int = 128, seed: int = 1, **options: Any) -> Step | None:
        offer = offers[name]
        return load(offer.build)({**offer.options, **options}, context(vocab_size, seed))

    return make


@pytest.fixture
def probabilities(build: Callable[..., Step | None]) -> Callable[..., dict[int, float]]:
    """(name, probabilities before, prompt=, output=, **options): those after, by token.

    Tokens that have none are left out.
    """

    def run(
        name: str,
        before: Sequence[float],
        *,
        prompt: Sequence[int] = (),
        output: Sequence[int] = (),
        **options: Any,
    ) -> dict[int, float]:
        with np.errstate(divide="ignore"):
            candidates = Candidates.of(np.log(np.array(before)).astype(np.float32))
        step = build(name, vocab_size=len(before), **options)
        if step is not None:
            candidates = step(candidates, History(list(prompt), list(output)))
        after = candidates.probabilities()
        pairs = zip(candidates.ids.tolist(), after.tolist(), strict=True)
        return {token: value for token, value in pairs if value > 0}

    return run
