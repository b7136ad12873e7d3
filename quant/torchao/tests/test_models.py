"""Whole models as torchao and transformers save them, against the same in plain numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.build import build_for
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.registry import Registry, known
from tramontane.testing.quantized_folder import apart, load_folder, write_pair

from .vectors import float8, named

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": SMALL,
    "Qwen3": SMALL | {"head_dim": 16, "tie_word_embeddings": True},
    "Phi3": SMALL,
}
TOKENS = [1, 17, 60, 5, 40, 33, 8, 2]
SETTINGS = {"quant_method": "torchao", "quant_type": {"default": {}}}


def saved(family: str, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a random model."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family], initializer_range=0.1)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    model.save_pretrained(folder / "saved")
    settings = json.loads((folder / "saved" / "config.json").read_text())
    return settings, load_file(folder / "saved" / "model.safetensors")


class Quantized:
    """Matrices of integers (up_proj, gate_up_proj), of plain 4-bit codes (down_proj) and of 8-bit
    floats (the others), and what the file says of them."""

    def __init__(self, old_names: bool = False) -> None:
        self.said: dict[str, str] = {}
        self.old_names = old_names

    def __call__(self, name: str, tensor: Tensor) -> tuple[dict[str, Tensor], Tensor] | None:
        kind: str
        values: Mapping[str, Any]
        if "proj" not in name:
            self.said[name] = json.dumps({"_type": "Tensor"})
            return ({f"{name}:_data": tensor}, tensor) if self.old_names else None
        groups = tensor.unflatten(1, (-1, 32))
        scale = groups.abs().amax(-1) / 7
        codes = (groups / scale[..., None]).round().clamp(-8, 7)
        if "down" in name:
            kind, values = "Int4Tensor", {"block_size": [1, 32], "shape": list(tensor.shape)}
            zero = torch.rand(scale.shape) / 100
            raw = codes.flatten(1).to(torch.uint8)
            made = raw[:, ::2] & 15 | raw[:, 1::2] << 4
            parts = {"qdata": made.view(torch.int8), "scale": scale.T, "zero_point": zero.T}
            numbers = codes * scale[..., None] + zero[..., None]
        elif "up" in name:
            kind = "IntxUnpackedToInt8Tensor"
            values = {
                "block_size": [1, 32],
                "target_dtype": named("int4"),
                "dtype": named("float32"),
            }
            zero = torch.randint(-1, 2, scale.shape, dtype=torch.int8)
            parts = {"qdata": codes.flatten(1).to(torch.int8), "scale": scale, "zero_point": zero}
            numbers = (codes - zero[..., None]) * scale[..., None]
        else:
            kind, values = "Float8Tensor", float8([1, tensor.shape[1]], "float32")
            each = tensor.abs().amax(1, keepdim=True) / 448
            parts = {"qdata": (tensor / each).to(torch.float8_e4m3fn), "scale": each}
            numbers = parts["qdata"].float() * each
        entry = {"_type": kind, "_data": values}
        self.said[name] = json.dumps(
            entry if self.old_names else entry | {"_tensor_data_names": list(parts)}
        )
        path, _, last = name.rpartition(".")
        start = f"{name}:" if self.old_names else f"{path}._{last}_"
        return {start + part: t for part, t in parts.items()}, numbers.reshape(tensor.shape)


def pair(family: str, folder: Path, old_names: bool = False) -> tuple[Path, Path]:
    config, tensors = saved(family, folder)
    quantize = Quantized(old_names)
    return write_pair(folder, config, tensors, SETTINGS, quantize, quantize.said)


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_decoded_weights(family: str, device: str, tmp_path: Path) -> None:
    packed, plain = pair(family, tmp_path)
    assert apart(packed, plain, TOKENS, device) < 1e-4
    kinds = set(load_folder(packed).report.layouts)
    assert {"affine4/g32/1-level/min", "affine4/g32/1-level/zeros"} <= kinds
    assert any(kind.startswith("codebook8/") for kind in kinds)


def test_names_of_version_0_14(tmp_path: Path) -> None:
    packed, plain = pair("Llama", tmp_path, old_names=True)
    assert apart(packed, plain, TOKENS) < 1e-6


def test_a_layer_in_several_files(tmp_path: Path) -> None:
    """transformers cuts files between the codes and the scales of a layer."""
    packed, plain = pair("Qwen3", tmp_path)
    tensors, said = load_file(packed / "model.safetensors"), _metadata(packed)
    (packed / "model.safetensors").unlink()
    for number, part in enumerate(("qdata", "scale", "")):
        names = [n for n in tensors if n.endswith(f"_{part}") or (not part and n[-5:] != "scale")]
        own = {name: tensors.pop(name) for name in names}
        save_file(own, packed / f"model-{number}.safetensors", said if number != 1 else None)
    assert not tensors
    assert apart(packed, plain, TOKENS) < 1e-6


def _metadata(folder: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return dict(file.metadata())


def test_stacked_experts(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    experts = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    config = transformers.Qwen3MoeConfig(**SMALL, **experts, head_dim=16, initializer_range=0.1)
    config.architectures = ["Qwen3MoeForCausalLM"]
    tensors = transformers.Qwen3MoeForCausalLM(config).state_dict()
    said: dict[str, str] = {}

    def quantize(name: str, tensor: Tensor) -> tuple[dict[str, Tensor], Tensor] | None:
        if tensor.ndim != 3:
            return None
        each = tensor.abs().amax(2, keepdim=True) / 448
        codes = (tensor / each).to(torch.float8_e4m3fn)
        said[name] = json.dumps({"_type": "Float8Tensor", "_data": float8([1, 1, 64], "float32")})
        path, _, last = name.rpartition(".")
        parts = {f"{path}._{last}_qdata": codes, f"{path}._{last}_scale": each}
        return parts, codes.float() * each

    packed, plain = write_pair(tmp_path, config.to_dict(), tensors, SETTINGS, quantize, said)
    assert len(said) == 2
    assert apart(packed, plain, TOKENS) < 1e-6


def test_metadata_that_was_left_out_is_named(tmp_path: Path) -> None:
    packed, _ = pair("Llama", tmp_path)
    save_file(load_file(packed / "model.safetensors"), packed / "model.safetensors")
    with pytest.raises(CheckpointError, match="__metadata__ of its file does not describe model"):
        load_folder(packed)


def test_a_part_that_nobody_knows_is_named(tmp_path: Path) -> None:
    packed, _ = pair("Llama", tmp_path)
    tensors, said = load_file(packed / "model.safetensors"), _metadata(packed)
    path = "model.layers.0.self_attn.q_proj"
    tensors[f"{path}._weight_zero_point"] = torch.zeros(1)
    save_file(tensors, packed / "model.safetensors", said)
    with pytest.raises(CheckpointError, match=f"not used by torchao: {path}._weight_zero_point"):
        load_folder(packed)


def test_the_plan_knows_before_weights_are_read(tmp_path: Path) -> None:
    packed, _ = pair("Llama", tmp_path)
    tensors = build_for(open_checkpoint(packed, Registry()), Registry()).checkpoint.header.tensors
    up = tensors["model.layers.0.mlp.up_proj.weight"]
    assert (up.stored, up.in_memory) == ("torchao", 96 * 64 // 2 + 96 * 2 * (4 + 1))


def test_without_the_plugin_the_way_to_it_is_said() -> None:
    assert known("quantizers")["torchao"] == "tramontane-quant-torchao"
