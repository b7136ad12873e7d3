"""Parity with transformers: the same random weights, the same logits, on every way through.

Every configuration goes through prefill and decoding; the further ways, which no switch of a
configuration should change, are for the first one of a family, unless TRAMONTANE_FULL is 1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import reference
from .families import CASES, FAMILIES
from .forward import greedy, logits

TOKENS = torch.randint(3, 99, (40,), generator=torch.Generator().manual_seed(1)).tolist()
OTHERS = [TOKENS[5:22], TOKENS[30:33], TOKENS[:29]]
TOLERANCE = 1e-4
FIRST = [(family, next(iter(FAMILIES[family].variants))) for family in FAMILIES]
FULL = os.environ.get("TRAMONTANE_FULL") == "1"
every = pytest.mark.parametrize("pair", CASES, indirect=True, ids="-".join)
first = pytest.mark.parametrize("pair", CASES if FULL else FIRST, indirect=True, ids="-".join)


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Loaded]:
    """transformers' model and ours, from one folder."""
    family, variant = request.param
    folder = tmp_path_factory.mktemp("model")
    theirs = reference.make(family, variant, folder)
    return theirs, load(folder)


def load(folder: Path, dtype: str = "f32") -> Loaded:
    registry = Registry()
    settings = LoadOptions(device="reference", dtype=dtype, num_ctx=96)
    return load_model(open_checkpoint(folder, registry), registry, settings)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the largest logit."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@every
def test_prefill(pair: tuple[Any, Loaded]) -> None:
    theirs, ours = pair
    (mine,) = logits(ours, [TOKENS])
    assert difference(mine, reference.prefill(theirs, TOKENS)) < TOLERANCE


@first
@pytest.mark.parametrize("chunk", [1, 7, 16] if FULL else [7])
def test_chunked_prefill(pair: tuple[Any, Loaded], chunk: int) -> None:
    theirs, ours = pair
    (mine,) = logits(ours, [TOKENS], chunk=chunk)
    assert difference(mine, reference.prefill(theirs, TOKENS)) < TOLERANCE


@every
def test_decode_with_cache(pair: tuple[Any, Loaded]) -> None:
    theirs, ours = pair
    (mine,) = logits(ours, [TOKENS], prompts=[11])
    assert difference(mine, reference.decode(theirs, TOKENS, 11)) < TOLERANCE


@first
def test_batch_of_unequal_lengths(pair: tuple[Any, Loaded]) -> None:
    theirs, ours = pair
    for mine, tokens in zip(logits(ours, OTHERS, chunk=9), OTHERS, strict=True):
        assert difference(mine, reference.prefill(theirs, tokens)) < TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_stays_near(family: str, tmp_path: Path) -> None:
    """Weights and activations of eight bits: logits differ by a few hundredths of the largest, or
    half as much again as transformers' own, where states carry roundings on."""
    theirs = reference.make(family, next(iter(FAMILIES[family].variants)), tmp_path)
    ours = load(tmp_path, dtype="bf16")
    (mine,) = logits(ours, [TOKENS], prompts=[20])
    expected = reference.prefill(theirs, TOKENS)
    off = float((mine.float() - expected).abs().mean() / expected.abs().max())
    if off >= 0.03:
        own = reference.prefill(theirs.bfloat16(), TOKENS).float()
        assert off < 1.5 * float((own - expected).abs().mean() / expected.abs().max())


@first
def test_greedy_tokens(pair: tuple[Any, Loaded]) -> None:
    theirs, ours = pair
    prompt = TOKENS[:13]
    assert greedy(ours, prompt, 64) == reference.greedy(theirs, prompt, 64)
