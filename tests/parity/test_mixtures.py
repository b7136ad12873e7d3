"""X-LoRA in every family: transformers' logits with what peft does to its layers.

A few families of different kinds; all of them with TRAMONTANE_FULL=1.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane import LLM
from tramontane.adapters.fit import Fit
from tramontane.blocks import Linear
from tramontane.checkpoint.fill import rules_of
from tramontane.errors import AdapterError
from tramontane.plugin import Architecture

from . import gguf_file, mixtures, reference
from .families import FAMILIES
from .mixtures import Known, Reference

FEW = ("llama", "phi3", "gpt2", "opt", "gemma2", "bamba")
"""Plain; modules split, transposed and declared in another order; soft caps and windows; states."""
FULL = os.environ.get("TRAMONTANE_FULL") == "1"
APART = {
    "zamba2": "layers share modules, so an ordering file is needed",
    "gemma3n": "its last hidden states, which peft reads, are four streams in front of the norm",
    "baichuan": "its own code returns no hidden states",
    "openelm": "its own code returns no hidden states",
    "jais": "its own code returns no hidden states",
}
TOLERANCE = 5e-4
"""Classifiers make more of what rounding leaves in hidden states."""
TOKENS = torch.randint(3, 90, (33,), generator=torch.Generator().manual_seed(2)).tolist()
LAYERWISE = {
    "layerwise_scalings": True, "xlora_depth": 2, "scaling_pass_value": 0.25, "top_k_lora": None
}  # fmt: skip


def linear_layers(llm: LLM) -> Known:
    """Whether a name of transformers is of linear layers here."""
    loaded, registry = llm.inner.loaded, llm.inner.registry
    offer = registry.get(Architecture, llm.inner.header.architecture)
    fit = Fit(loaded.model, rules_of(offer, loaded.config, "hf"), {}, "")

    def known(name: str) -> bool:
        if name.endswith("dt_proj"):  # whose weights transformers' Mamba reads past the module
            return False
        try:
            ends = fit.ends(f"{name}.weight")
        except AdapterError:
            return False
        paths = [path.rpartition(".")[0] for path, _ in ends]
        return all(type(loaded.model.get_submodule(path)) is Linear for path in paths)

    return known


def check(llm: LLM, made: Reference, theirs: object) -> None:
    llm.load_adapter("x", made.folder)
    applied = llm.inner.adapters.applied("x")
    request = llm.inner.logits_request(TOKENS)
    base, found = llm._results([request, replace(request, id="+", adapters=applied)])
    assert found.error is None
    assert found.prompt_logits is not None
    assert base.prompt_logits is not None
    reference.forget(theirs)
    expected = made.logits(theirs, TOKENS)
    ours, alone = torch.from_numpy(found.prompt_logits), torch.from_numpy(base.prompt_logits)
    assert float((ours - expected).abs().max() / expected.abs().max()) < TOLERANCE
    assert float((ours - alone).abs().max() / expected.abs().max()) > 1e-2, "it counts"


@pytest.mark.parametrize("family", [*FAMILIES] if FULL else FEW)
def test_logits_are_those_of_two_passes(family: str, tmp_path: Path) -> None:
    if family in APART:
        pytest.skip(f"{family}: {APART[family]}")
    theirs = reference.make(family, next(iter(FAMILIES[family].variants)), tmp_path / "model")
    with LLM(
        tmp_path / "model", device="cpu", dtype="f32", activations="f32", kv_type="f32",
        num_ctx=96, kv_tokens=512,
    ) as llm:  # fmt: skip
        made = mixtures.make(theirs, tmp_path / "x", linear_layers(llm), **LAYERWISE)
        check(llm, made, theirs)


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_K"] if FULL else ["Q4_K"])
def test_a_gguf_file(kind: str, tmp_path: Path) -> None:
    """The very numbers of a packed file, in transformers and here."""
    theirs = gguf_file.pair("llama", Type[kind], tmp_path / "model.gguf")
    made = mixtures.make(theirs, tmp_path / "x", layerwise_scalings=True, size=0.05)
    with LLM(
        tmp_path / "model.gguf", device="cpu", dtype="f32", activations="f32", kv_type="f32",
        num_ctx=64, kv_tokens=512,
    ) as llm:  # fmt: skip
        check(llm, made, theirs)
