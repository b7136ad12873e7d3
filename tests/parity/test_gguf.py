"""GGUF files written with the `gguf` package against transformers with the decoded weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
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


def model_of(family: str, **settings: Any) -> Any:
    config_class = getattr(transformers, FAMILIES[family].config)
    torch.manual_seed(5)
    config = config_class(**{**gguf_file.SIZES, "sliding_window": None, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.normal_(1.0 if "norm" in name else 0.0, 0.2)
    return model.eval()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", list(FAMILIES))
def test_logits(family: str, kind: str, device: str, tmp_path: Path) -> None:
    model = model_of(family)
    compare(model, family, kind, device, tmp_path)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["Q4_K", "Q8_0"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_tied_head(family: str, kind: str, device: str, tmp_path: Path) -> None:
    model = model_of(family, tie_word_embeddings=True)
    compare(model, family, kind, device, tmp_path)


def compare(model: Any, family: str, kind: str, device: str, folder: Path) -> None:
    path = folder / "model.gguf"
    gguf_file.write(model, family, Type[kind], path)
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, activations="f32")
    ours = load_model(open_checkpoint(path, registry), registry, options)
    theirs = reference.prefill(model, TOKENS)
    (mine,) = logits(ours, [TOKENS], prompts=[20])
    assert float((mine - theirs).abs().max() / theirs.abs().max()) < 1e-4
    packed = {name for name in ours.report.layouts if name.startswith("affine")}
    assert bool(packed) == kind.startswith("Q"), "quantized matrices stay packed"
