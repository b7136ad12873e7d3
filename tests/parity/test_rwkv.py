"""RWKV-7 against its formula, in each form of checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from .forward import logits
from .rwkv import (
    PACKED,
    SIZES,
    VARIANTS,
    Tensors,
    as_fla,
    formula,
    random_tensors,
    write_folder,
    write_gguf,
)

TOKENS = torch.randint(0, 90, (24,), generator=torch.Generator().manual_seed(1)).tolist()
DEVICES = ["reference", "cpu"]


def load(path: Path, device: str) -> Loaded:
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, dtype="f32", activations="f32")
    return load_model(open_checkpoint(path, registry), registry, options)


def compare(path: Path, device: str, tensors: Tensors) -> None:
    right, ours = formula(tensors, TOKENS), load(path, device)
    (fed,) = logits(ours, [TOKENS], chunk=7, prompts=[20])
    assert float((fed - right).abs().max() / right.abs().max()) < 1e-4
    if device == "cpu":
        assert ours.report.kernels["step"] == "recorded"
        (alone,) = logits(ours, [TOKENS])
        assert torch.equal(alone, fed)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("own", [True, False], ids=["own-names", "fla-names"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_folders(variant: str, own: bool, device: str, tmp_path: Path) -> None:
    sizes = {**SIZES, **VARIANTS[variant]}
    tensors = random_tensors(sizes)
    write_folder(tmp_path, tensors if own else as_fla(tensors), sizes)
    compare(tmp_path, device, tensors)


def test_mixes_in_one_tensor(tmp_path: Path) -> None:
    """As flash-linear-attention had them first, beside a v_lora of the first layer."""
    tensors = random_tensors(SIZES)
    stored = as_fla(tensors)
    for layer in range(SIZES["layers"]):
        names = [f"model.layers.{layer}.attn.x_{name}" for name in "rwkvag"]
        stored[f"model.layers.{layer}.attn.x_x"] = torch.cat([stored.pop(n) for n in names])[:, 0]
    stored["model.layers.0.attn.v_lora.lora.0.weight"] = torch.zeros(4, 48)
    write_folder(tmp_path, stored, SIZES)
    compare(tmp_path, "reference", tensors)


def test_without_a_norm_of_the_embedding(tmp_path: Path) -> None:
    tensors = random_tensors(SIZES)
    tensors = {name: data for name, data in tensors.items() if "ln0" not in name}
    write_folder(tmp_path, tensors, SIZES, norm_first=False)
    compare(tmp_path, "reference", tensors)


@pytest.mark.parametrize(
    ("kind", "device"),
    [("F32", "reference"), *((kind, "cpu") for kind in ("F32", "Q4_0", "Q8_0", "Q4_K", "Q6_K"))],
)
def test_gguf(kind: str, device: str, tmp_path: Path) -> None:
    drawn = write_gguf(tmp_path / "m.gguf", random_tensors(PACKED), PACKED, Type[kind])
    compare(tmp_path / "m.gguf", device, drawn)


@pytest.mark.parametrize("change", [{}, {"ranks": (64, 64, 32, 0)}], ids=["gate", "no-gate"])
def test_qwen_with_time_mix(change: dict[str, Any], tmp_path: Path) -> None:
    sizes = {**PACKED, **change}
    drawn = write_gguf(tmp_path / "m.gguf", random_tensors(sizes, qwen=True), sizes, Type.Q4_0)
    compare(tmp_path / "m.gguf", "cpu", drawn)
