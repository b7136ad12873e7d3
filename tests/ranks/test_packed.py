"""Shares of packed weights, cut as they are read, hold transformers' logits of the decoded ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.layouts import Dense
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces
from tramontane.testing.thread_ranks import ThreadGroup, on_ranks

from tests.formats import gguf, models
from tests.formats.record import Format

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
SIZES = {"hidden_size": 512, "head_dim": 128, "intermediate_size": 768, "num_attention_heads": 4}
TOKENS = [5, 9, 17, 80, 3, 44, 61]
KINDS = ("Q4_K", "Q8_0", "Q6_K", "Q5_0", "IQ4_XS", "F16") if FULL else ("Q4_K", "Q8_0")


def logits_on_ranks(path: Path, size: int, device: str) -> list[Tensor]:
    options = LoadOptions(device=device, activations="f32", threads=1)
    registry = Registry.from_environment()

    def work(group: ThreadGroup) -> Tensor:
        checkpoint = open_checkpoint(path, registry)
        try:
            loaded = load_model(checkpoint, registry, options, group=group)
        finally:
            checkpoint.close()
        down = loaded.model.get_submodule("model.layers.0.mlp.down_proj")
        assert down.weight.shape[1] < SIZES["intermediate_size"]
        if "F16" not in path.parts[-2]:
            assert not isinstance(down.weight, Dense)
        with torch.inference_mode():
            return in_pieces(loaded.model, TOKENS, [4, 1, 2], stepped=True)

    return on_ranks(size, work)


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("kind", KINDS)
def test_gguf(tmp_path: Path, kind: str, device: str) -> None:
    variant = next(each for each in gguf.FORMAT.variants if each.row == kind)
    made = models.source("Llama", SIZES)
    folder = tmp_path / kind
    folder.mkdir()
    written = variant.write(made, folder)
    wanted = models.logits(made, written.numbers, TOKENS)
    for size in (2, 3) if FULL else (2,):
        found = logits_on_ranks(written.path, size, device)
        assert all(torch.equal(each, found[0]) for each in found)
        worst = float((found[0] - wanted).abs().max() / wanted.abs().max())
        assert worst < 1e-4, f"{size} ranks: {worst:.1e} of the largest logit"


@pytest.mark.skipif(not FULL, reason="formats in safetensors: TRAMONTANE_FULL=1")
@pytest.mark.parametrize("name", ["awq", "gptq", "hqq", "bnb", "fp8", "mxfp4"])
def test_safetensors(tmp_path: Path, name: str) -> None:
    from importlib import import_module

    form: Format = import_module(f"tests.formats.{name}").FORMAT
    made = models.source("Llama", {**SIZES, **form.sizes})
    written = form.variants[0].write(made, tmp_path)
    wanted = models.logits(made, written.numbers, TOKENS)
    found = logits_on_ranks(written.path, 2, "reference")
    worst = float((found[0] - wanted).abs().max() / wanted.abs().max())
    assert worst < 1e-3, f"{worst:.1e} of the largest logit"
