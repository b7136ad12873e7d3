"""What frames' codes are drawn from, against transformers' processors for Dia, and the draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.config import read_config
from tramontane_arch_dia.choose import Choosing, draw, scores
from tramontane_arch_dia.config import DiaConfig
from transformers.generation import logits_process as theirs

CFG = read_config(DiaConfig, {})
SHAPE = (CFG.num_channels, CFG.codes)


def logits(seed: int, end: float = 0.0) -> np.ndarray[Any, Any]:
    found = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32) * 4
    found[0, CFG.eos_token_id] += end
    return found


def expected(first: Any, plain: Any, how: Choosing) -> torch.Tensor:
    """What transformers samples from, in the order of its `_get_logits_processor`."""
    ids = torch.zeros(CFG.num_channels, 1, dtype=torch.long)
    found = torch.from_numpy(first)
    if plain is not None:
        guide = theirs.DiaClassifierFreeGuidanceLogitsProcessor(how.guidance, how.top_k or None)
        found = guide(ids, torch.cat((found, torch.from_numpy(plain))))
    if how.temperature > 1:
        found = theirs.TemperatureLogitsWarper(float(how.temperature))(ids, found)
    found = theirs.DiaEOSChannelFilterLogitsProcessor(CFG.num_channels, CFG.eos_token_id)(
        ids, found
    )
    if how.temperature == 0:
        return found
    if how.top_k:
        found = theirs.TopKLogitsWarper(how.top_k)(ids, found)
    if how.top_p < 1:
        found = theirs.TopPLogitsWarper(how.top_p)(ids, found)
    return found


@pytest.mark.parametrize(
    "how",
    [
        Choosing(),
        Choosing(guidance=1.0),
        Choosing(guidance=5.5, top_k=0),
        Choosing(guidance=1.5, top_k=3, top_p=0.5),
        Choosing(temperature=1.0, top_p=1.0),
        Choosing(temperature=0.5, top_p=0.3),
        Choosing(temperature=3.0, top_k=1000, top_p=0.99),
        Choosing(temperature=0),
        Choosing(guidance=1.0, top_k=7, top_p=0.2),
    ],
)
@pytest.mark.parametrize("end", [0.0, 40.0])
def test_scores_are_those_of_transformers(how: Choosing, end: float) -> None:
    for seed in range(4):
        first = logits(seed, end)
        plain = logits(seed + 100) if how.guidance > 1 else None
        found = scores(first, plain, how, CFG)
        told = expected(first.copy(), plain, how).numpy()
        assert np.array_equal(np.isfinite(found), np.isfinite(told))
        np.testing.assert_allclose(found, told, rtol=1e-6, atol=1e-6)
        assert np.isfinite(found[0, CFG.eos_token_id]) == bool(end)


def test_codes_are_drawn_by_their_probabilities() -> None:
    how = Choosing(top_p=1.0, top_k=0, temperature=1.0)
    found = np.full(SHAPE, -np.inf, np.float32)
    shares = np.array([0.5, 0.2, 0.3])
    found[:, [3, 900, 1023]] = np.log(shares)
    random = np.random.default_rng(1)
    drawn = np.stack([draw(found, how, random) for _ in range(2000)])
    counts = [(drawn == code).mean() for code in (3, 900, 1023)]
    np.testing.assert_allclose(counts, shares, atol=0.012)
    assert np.isin(drawn, (3, 900, 1023)).all()


def test_equal_seeds_draw_equal_codes() -> None:
    how = Choosing()
    one, other, third = (np.random.default_rng(seed) for seed in (7, 7, 8))
    found = scores(logits(1), logits(2), how, CFG)
    first = [draw(found, how, one).tolist() for _ in range(5)]
    assert [draw(found, how, other).tolist() for _ in range(5)] == first
    assert [draw(found, how, third).tolist() for _ in range(5)] != first
