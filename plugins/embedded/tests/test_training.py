"""Training in principle: a miniature learns for two steps and becomes a file that can be read."""

from __future__ import annotations

import math
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from export import export, interleave
from model import Llama, Shape, visible
from restore import restore, stored_tokenizer
from tokenizer import train_tokenizer
from train import Plan, rate_at, train

MINI = {"hidden": 64, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 32, "ffn": 96}


def test_a_miniature_learns_and_is_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(vocab=512, sample=100)
    model = Llama(Shape(vocab=tokenizer.get_vocab_size(), context=512, **MINI))
    plan = Plan(steps=1, settling=1, rows=1, length=512, warmup=1, compiled=False)
    outcome = train(model, tokenizer, plan)
    assert outcome.tokens == 1024
    assert all(math.isfinite(loss) for loss in outcome.losses)
    assert outcome.losses[1] < outcome.losses[0]
    export(model, tokenizer, tmp_path / "mini.gguf")
    reader = gguf.GGUFReader(tmp_path / "mini.gguf")
    assert len(reader.tensors) == 2 + 9
    assert reader.fields["general.architecture"].contents() == "llama"


def test_an_interrupted_training_comes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = train_tokenizer(vocab=512, sample=100)
    plan = Plan(steps=1, settling=2, rows=1, warmup=1, compiled=False, saved_every=2)

    def fresh() -> Llama:
        torch.manual_seed(2)
        return Llama(Shape(vocab=tokenizer.get_vocab_size(), **MINI))

    def interrupted(step: int, plan: Plan) -> float:
        if step == 2:
            raise KeyboardInterrupt
        return rate_at(step, plan)

    unbroken, resumed = fresh(), fresh()
    expected = train(unbroken, tokenizer, plan)
    monkeypatch.setattr("train.rate_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), tokenizer, plan, tmp_path / "mini.gguf")
    monkeypatch.undo()
    outcome = train(resumed, tokenizer, plan, tmp_path / "mini.gguf", resume=True)
    assert outcome.losses == expected.losses
    for weight, same in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(weight, same)


def test_logits_of_chosen_tokens_are_those_of_all() -> None:
    torch.manual_seed(3)
    model = Llama(Shape(vocab=64, **{**MINI, "layers": 2}))
    tokens, mask = torch.randint(64, (2, 8)), visible(torch.zeros(2, 8))
    chosen = torch.tensor([3, 7, 12])
    every = model(tokens, mask.float(), torch.arange(16))
    torch.testing.assert_close(model(tokens, mask.float(), chosen), every[chosen])


def test_an_exported_model_can_be_read_back(tmp_path: Path) -> None:
    torch.manual_seed(1)
    tokenizer = train_tokenizer(vocab=512, sample=50)
    model, again = (Llama(Shape(vocab=tokenizer.get_vocab_size(), **MINI)) for _ in range(2))
    export(model, tokenizer, tmp_path / "mini.gguf")
    restore(again, tmp_path / "mini.gguf")
    for before, after in zip(model.parameters(), again.parameters(), strict=True):
        # Q8_0 keeps about two digits.
        torch.testing.assert_close(after, before, atol=2e-3, rtol=0)
    same = stored_tokenizer(tmp_path / "mini.gguf")
    assert same.get_vocab() == tokenizer.get_vocab()
    text = "<|im_start|>user\nTell me a story about Zuzu!<|im_end|>"
    assert same.encode(text).ids == tokenizer.encode(text).ids


def test_the_rate_ends_with_the_steps() -> None:
    plan = Plan(steps=1000, warmup=100)
    assert rate_at(0, plan) == 0.01
    assert rate_at(100, plan) > 0.97
    assert 0.02 <= rate_at(999, plan) < 0.021


def test_interleaving_puts_each_pair_side_by_side() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)
    assert interleave(rows, 1).ravel().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert interleave(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
