"""GGUF files written with the `gguf` package against transformers with the decoded weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane.checkpoint.load import LoadOptions, load_model
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import gguf_file, reference
from .families import FAMILIES
from .forward import logits

KINDS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
         "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]  # fmt: skip
TOKENS = torch.randint(0, 96, (30,), generator=torch.Generator().manual_seed(2)).tolist()
DEVICES = ["reference", "cpu"]
WRITTEN = [name for name, family in FAMILIES.items() if family.gguf is not None]
CASES = [("llama", kind) for kind in KINDS] + [
    (family, kind) for family in WRITTEN[1:] for kind in ("F32", "Q4_0", "Q8_0", "Q4_K", "Q6_K")
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("family", "kind"), CASES)
def test_logits(family: str, kind: str, device: str, tmp_path: Path) -> None:
    compare(family, kind, device, tmp_path)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["Q4_K", "Q8_0"])
@pytest.mark.parametrize(("family", "tied"), [("llama", True), ("gemma", True), ("gpt2", False)])
def test_head(family: str, tied: bool, kind: str, device: str, tmp_path: Path) -> None:
    compare(family, kind, device, tmp_path, tie_word_embeddings=tied)


def compare(family: str, kind: str, device: str, folder: Path, **settings: object) -> None:
    path = folder / "model.gguf"
    model = gguf_file.pair(family, Type[kind], path, **settings)
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, activations="f32")
    ours = load_model(open_checkpoint(path, registry), registry, options)
    theirs = reference.prefill(model, TOKENS)
    (mine,) = logits(ours, [TOKENS], prompts=[20])
    assert float((mine - theirs).abs().max() / theirs.abs().max()) < 1e-4
    packed = {name for name in ours.report.layouts if name.startswith("affine")}
    assert bool(packed) == kind.startswith("Q"), "quantized matrices stay packed"
