"""GPT-OSS's experts as checkpoints store them, against transformers with the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.registry import Registry
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from . import reference
from .families import FAMILIES
from .families.gptoss import yarn
from .forward import logits

TOKENS = torch.randint(3, 99, (40,), generator=torch.Generator().manual_seed(3)).tolist()
SIZES: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16, **yarn()}
Tensors = dict[str, Tensor]
DEVICES = ["reference", "cpu"]


def blocks(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Random codes and scales of matrices (experts, rows, columns)."""
    groups = (*shape[:-1], shape[-1] // 32)
    codes = torch.randint(0, 256, (*groups, 16), dtype=torch.uint8)
    return codes, torch.randint(121, 125, groups, dtype=torch.uint8)


def packed(tensors: Tensors, apart: bool = False) -> tuple[Tensors, Tensors]:
    """Experts in MXFP4, and the numbers that they stand for under transformers' names. apart: gate
    and up by themselves and below the layer, as mlx-lm writes them."""
    stored, numbers = dict(tensors), dict(tensors)
    for name, data in tensors.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            continue
        codes, scales = blocks(tuple(data.mT.shape))
        numbers[name] = convert_moe_packed_tensors(codes, scales, dtype=torch.float32)
        del stored[name]
        parts = {"": (slice(None), name)}
        if apart and "gate_up" in name:
            halves = ((part, name.replace("gate_up", part)) for part in ("gate", "up"))
            parts = {part: (slice(i, None, 2), to) for i, (part, to) in enumerate(halves)}
        for rows, to in parts.values():
            if apart:
                words = codes[:, rows].flatten(-2).contiguous().view(torch.uint32)
                stored[f"{to}.weight"] = words
                stored[f"{to}.scales"] = scales[:, rows].contiguous()
                stored[f"{to}.bias"] = stored[f"{name}_bias"][:, rows].contiguous()
            else:
                stored[f"{to}_blocks"], stored[f"{to}_scales"] = codes, scales
        if apart:
            del stored[f"{name}_bias"]
    return stored, numbers


def pair(folder: Path, kind: str) -> Any:
    """transformers' model; the folder holds what is to be loaded."""
    record = FAMILIES["gpt-oss"]
    torch.manual_seed(2)
    theirs = reference.random(record, {**record.shared, **SIZES}, 3)
    theirs.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tensors = load_file(folder / "model.safetensors")
    if kind == "bfloat16":
        stored = numbers = {name: data.bfloat16() for name, data in tensors.items()}
    elif kind == "mxfp4":
        stored, numbers = packed(tensors)
        config["quantization_config"] = {
            "quant_method": "mxfp4",
            "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"],
        }
    else:
        stored, numbers = packed(tensors, apart=True)
        names = [name.removesuffix(".scales") for name in stored if name.endswith(".scales")]
        only = {name: {"group_size": 32, "bits": 4, "mode": "mxfp4"} for name in names}
        config["quantization"] = {"group_size": 32, "bits": 4, "mode": "affine", **only}
    theirs.load_state_dict({k: v.float() for k, v in numbers.items()}, strict=True)
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return theirs


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["mxfp4", "mlx", "bfloat16"])
def test_experts_as_they_are_stored(kind: str, device: str, tmp_path: Path) -> None:
    theirs = pair(tmp_path, kind)
    registry = Registry()
    options = LoadOptions(device=device, dtype="f32", activations="f32", num_ctx=64)
    ours = load_model(open_checkpoint(tmp_path, registry), registry, options)
    (mine,) = logits(ours, [TOKENS], prompts=[25], chunk=16)
    expected = reference.prefill(theirs, TOKENS)
    assert float((mine - expected).abs().max() / expected.abs().max()) < 1e-4
    packed_layouts = {name for name in ours.report.layouts if name.startswith("codebook")}
    assert bool(packed_layouts) == (kind != "bfloat16"), "quantized matrices stay packed"
    if device == "cpu":
        assert ours.report.eager_reason is None


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("down_proj_scales", None, "no scales; it has blocks"),
        ("gate_up_proj_scales", lambda t: t[:, :-1].contiguous(), "do not belong together"),
        ("gate_up_proj_bias", lambda t: t[:-1].contiguous(), "gate_up_proj_bias is"),
        ("down_proj_bias", None, "missing"),
    ],
)
def test_what_does_not_fit_is_named(name: str, change: Any, said: str, tmp_path: Path) -> None:
    pair(tmp_path, "mxfp4")
    tensors = load_file(tmp_path / "model.safetensors")
    whole = f"model.layers.1.mlp.experts.{name}"
    data = tensors.pop(whole)
    if change is not None:
        tensors[whole] = change(data)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    registry = Registry()
    with pytest.raises(CheckpointError, match=said) as caught:
        load_model(open_checkpoint(tmp_path, registry), registry, LoadOptions(device="reference"))
    assert "layers.1.mlp.experts" in str(caught.value)
