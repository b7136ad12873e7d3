"""GGUF files written with the `gguf` package against transformers with the decoded weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import gguf_file, reference
from .families import FAMILIES
from .families.convert import interleaved, stacked
from .families.gemma4 import SPARSE
from .families.record import Gguf, Tensors
from .forward import logits

KINDS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
         "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S",
         "IQ2_XS", "IQ2_XXS", "IQ1_S", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"]  # fmt: skip
TOKENS = torch.randint(0, 96, (30,), generator=torch.Generator().manual_seed(2)).tolist()
FULL = os.environ.get("TRAMONTANE_FULL") == "1"
DEVICES = ["reference", "cpu"]
WRITTEN = [name for name, family in FAMILIES.items() if family.gguf is not None]
CASES = (
    [("llama", kind) for kind in KINDS]
    + [(family, kind) for family in WRITTEN[1:] for kind in ("F32", "Q4_0", "Q8_0", "Q4_K", "Q6_K")]
    + [("gpt-oss", "MXFP4")]
    + [("qwen3-moe", kind) for kind in ("IQ3_S", "IQ2_XS", "IQ1_S", "TQ2_0", "MXFP4", "NVFP4")]
)
"""Of the table; the gate takes those of `GATE` of most families."""
GATE = ("Q4_K", "MXFP4")
WHOLE = ("llama", "qwen3-moe")
TESTED = [(f, k) for f, k in CASES if FULL or k in GATE or f in WHOLE]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("family", "kind"), TESTED)
def test_logits(family: str, kind: str, device: str, tmp_path: Path) -> None:
    compare(family, kind, device, tmp_path)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["Q4_K", "Q8_0"])
@pytest.mark.parametrize(("family", "tied"), [("llama", True), ("gemma", True), ("gpt2", False)])
def test_head(family: str, tied: bool, kind: str, device: str, tmp_path: Path) -> None:
    compare(family, kind, device, tmp_path, tie_word_embeddings=tied)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("family", "change"),
    [("gptneox", {"rotary_pct": 1.0}), ("phi2", {"partial_rotary_factor": 1.0}),
     ("phi3", {"sliding_window": 9}), ("gemma4", SPARSE)],
)  # fmt: skip
def test_other_settings(family: str, change: dict[str, Any], device: str, tmp_path: Path) -> None:
    compare(family, "F32", device, tmp_path, **change)


@pytest.mark.parametrize("device", DEVICES)
def test_biases_of_some_matrices_of_attention(device: str, tmp_path: Path) -> None:
    """Each may be there by itself in a file of Llama: here those of queries, keys and values."""
    compare("qwen2", "F32", device, tmp_path, Gguf("llama", convert=interleaved))


@pytest.mark.parametrize("device", DEVICES)
def test_experts_with_gate_and_up_in_one(device: str, tmp_path: Path) -> None:
    """What llama.cpp's converter writes when it is asked to."""
    today = FAMILIES["deepseek-v2"].gguf
    assert today is not None

    def fused(tensors: Tensors, config: Any) -> Tensors:
        out = today.convert(tensors, config)
        for name in [name for name in out if name.endswith("experts.gate_proj.weight")]:
            if "shared" not in name:
                up = out.pop(name.replace("gate_proj", "up_proj"))
                both = np.concatenate([out.pop(name), up], 1)
                out[f"blk.{name.split('.')[2]}.ffn_gate_up_exps.weight"] = both
        return out

    compare("deepseek-v2", "F32", device, tmp_path, replace(today, convert=fused))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["F32", "Q4_K", "Q8_0"])
def test_files_from_before_latents_were_cached(kind: str, device: str, tmp_path: Path) -> None:
    """Heads' keys and values in one matrix, and sizes of whole heads."""
    today = FAMILIES["deepseek-v2"].gguf
    assert today is not None

    def keys(config: Any) -> dict[str, Any]:
        told = {k: v for k, v in today.keys(config).items() if not k.endswith("_mla")}
        heads = {"attention.head_count_kv": config.num_attention_heads}
        nope, turned = config.qk_nope_head_dim, config.qk_rope_head_dim
        sizes = {"key_length": nope + turned, "value_length": config.v_head_dim}
        return told | heads | {f"attention.{size}": value for size, value in sizes.items()}

    before = replace(today, keys=keys, convert=stacked, plain=())
    compare("deepseek-v2", kind, device, tmp_path, before)


@pytest.mark.parametrize("device", DEVICES)
def test_a_layer_that_guesses_further_tokens(device: str, tmp_path: Path) -> None:
    """Nemotron 3's, with attention and experts in one, as llama.cpp's converter folds them."""
    today = FAMILIES["nemotron-h-moe"].gguf
    assert today is not None

    def more(tensors: Tensors, config: Any) -> Tensors:
        out, depth = today.convert(tensors, config), config.num_hidden_layers
        names = [name for name in out if name.startswith(f"blk.{depth - 1}.")]
        ahead = {name.replace(f".{depth - 1}.", f".{depth}.", 1): out[name] for name in names}
        norms = ("nextn.enorm", "nextn.hnorm", "attn_norm")
        return out | ahead | {f"blk.{depth}.{name}.weight": np.ones(4, "f4") for name in norms}

    def keys(config: Any) -> dict[str, Any]:
        told = today.keys(config)
        counted = ("attention.head_count_kv", "feed_forward_length")
        longer = {key: [*told[key], max(told[key])] for key in counted}
        depth = config.num_hidden_layers + 1
        return {**told, **longer, "block_count": depth, "nextn_predict_layers": 1}

    compare("nemotron-h-moe", "F32", device, tmp_path, replace(today, convert=more, keys=keys))


def compare(
    family: str,
    kind: str,
    device: str,
    folder: Path,
    about: Gguf | None = None,
    **settings: object,
) -> None:
    path = folder / "model.gguf"
    model = gguf_file.pair(family, Type[kind], path, about, **settings)
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, activations="f32")
    ours = load_model(open_checkpoint(path, registry), registry, options)
    theirs = reference.prefill(model, TOKENS)
    (mine,) = logits(ours, [TOKENS], prompts=[20])
    assert float((mine - theirs).abs().max() / theirs.abs().max()) < 1e-4
    packed = {name for name in ours.report.layouts if name.startswith(("affine", "codebook"))}
    assert bool(packed) == (kind not in ("F32", "F16", "BF16")), "quantized matrices stay packed"
