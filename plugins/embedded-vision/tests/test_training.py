"""Training in principle: a miniature learns, goes on after a break, and is a checkpoint."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from batches import LONG, SHORT, Batches
from folder import write_folder
from sight import Eyes, Seeing, text_shape
from talks import ROW
from tokenizers import Tokenizer
from train_sight import Plan, causal, rate_at, train
from words import train_tokenizer

EYES = Eyes(side=32, hidden=32, layers=1, heads=2, ffn=32, patch=4)
PLAN = Plan(steps=3, warmup=1, compiled=False, drawing=0, saved_every=2)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(vocabulary=360, sample=100)


def miniature(tokenizer: Tokenizer) -> Seeing:
    torch.manual_seed(1)
    shape = replace(
        text_shape(tokenizer.get_vocab_size()),
        hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, ffn=32,
    )  # fmt: skip
    return Seeing(EYES, shape)


def test_a_miniature_learns_and_goes_on_to_the_same_weights(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, resumed = miniature(tokenizer), miniature(tokenizer)
    expected = train(unbroken, tokenizer, PLAN)
    assert all(math.isfinite(loss) for loss in expected.losses)
    assert expected.losses[-1] < expected.losses[0]

    def interrupted(step: int, plan: Plan) -> float:
        if step == 2:
            raise KeyboardInterrupt
        return rate_at(step, plan)

    monkeypatch.setattr("train_sight.rate_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(miniature(tokenizer), tokenizer, PLAN, tmp_path / "mini")
    monkeypatch.undo()
    outcome = train(resumed, tokenizer, PLAN, tmp_path / "mini", resume=True)
    assert outcome.losses == expected.losses
    for weight, same in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(weight, same)


@pytest.mark.parametrize(("number", "kind"), [(0, SHORT), (4, LONG)])
def test_batches_have_rows_for_every_picture(
    tokenizer: Tokenizer, number: int, kind: tuple[int, int, tuple[int, ...]]
) -> None:
    batch = Batches(tokenizer, 1, number, number + 1, 32)[0]
    talks, length, counts = kind
    assert batch.tokens.shape == batch.source.shape == (talks, length)
    assert sum(counts) * talks // 4 == len(batch.pixels) == 80
    used = batch.source[batch.source >= 0]
    assert used.unique().numel() == used.numel()
    assert ((batch.tokens == tokenizer.token_to_id(ROW)) == (batch.source >= 0)).all()
    following = batch.tokens.flatten()[batch.chosen + 1]
    assert torch.equal(following, batch.targets)


def test_transformers_computes_what_was_trained(tokenizer: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = miniature(tokenizer)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_((weight + 0.05 * torch.randn_like(weight)).bfloat16())
    write_folder(model, tokenizer, tmp_path)
    theirs = transformers.Idefics3ForConditionalGeneration.from_pretrained(
        tmp_path, dtype=torch.float32
    )
    batch = Batches(tokenizer, 1, 0, 1, EYES.side)[0]
    with torch.no_grad():
        found = model.logits(
            batch.pixels, batch.tokens, batch.source, causal(128), torch.arange(128)
        )
        pixels = (batch.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)[:1, None]
        expected = theirs(input_ids=batch.tokens[:1], pixel_values=pixels).logits[0]
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_the_rate_falls_with_the_horizon() -> None:
    plan = Plan(horizons=((0, 1500), (700, 1000)), warmup=100)
    assert rate_at(0, plan) == pytest.approx(0.01, rel=1e-3)
    assert rate_at(100, plan) > 0.97
    assert rate_at(750, Plan(horizons=((0, 1500),))) == pytest.approx(0.505)
    assert rate_at(700, plan) < rate_at(699, plan)
    assert 0.01 <= rate_at(999, plan) < 0.011
