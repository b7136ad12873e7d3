"""Whole models with layers of GPTQ, AWQ and bitsandbytes: matrices that lie the other way round,
configurations in files of their own, experts in different orders, and what is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, PluginNotInstalled
from tramontane.layouts import Affine, Codebook, Permuted
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole

from .formats import awq, bnb, gptq
from .formats.folder import Make

pytest.importorskip("transformers")

TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
SMALL = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
FAMILIES = {
    "Llama": SMALL,
    "Mixtral": SMALL | {"num_local_experts": 3, "num_experts_per_tok": 2},
    "GPT2": {"vocab_size": 320, "n_embd": 64, "n_layer": 1, "n_head": 4, "n_positions": 64},
}
"""The others are in tests/formats."""
Encode = Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]


def of(make: Make) -> Encode:
    def made(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        matrix = make("x", weight)
        return matrix.parts, matrix.numbers

    return made


FOUR = {"bits": 4, "group_size": 32}
FORMATS: dict[str, tuple[Encode, dict[str, Any]]] = {
    "gptq": (
        of(gptq.make("gptq", 4, 32, symmetric=False, act_order=True, dtype=torch.float16)),
        {"quant_method": "gptq", **FOUR, "desc_act": True, "sym": False},
    ),
    "awq": (
        of(awq.make("gemm", 4, 32, symmetric=False, dtype=torch.float16)),
        {"quant_method": "awq", **FOUR, "zero_point": True, "version": "gemm"},
    ),
    "nf4": (
        of(bnb.four("nf4", 64, double=True, dtype="float32", stored=torch.uint8)),
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
    ),
    "int8": (of(bnb.eight), {"quant_method": "bitsandbytes", "load_in_8bit": True}),
}


def loaded(folder: Path, device: str = "reference", **options: Any) -> Loaded:
    checkpoint = open_checkpoint(folder, Registry())
    return load_model(checkpoint, Registry(), LoadOptions(device=device, **options))


def quantizes(path: str, tensor: Tensor) -> bool:
    """What these libraries quantize: linear layers, but for embeddings, the head and routers."""
    left = ("lm_head", "embed_tokens", "wte", "wpe", "mlp.gate.", "moe.gate.")
    return tensor.ndim == 2 and not any(part in path for part in left)


def write(folder: Path, family: str, form: str) -> Tensor:
    """A folder with quantized layers; returns the logits of the weights that they stand for."""
    import transformers

    torch.manual_seed(0)
    encode, settings = FORMATS[form]
    name = f"{family}LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
    kind: Any = getattr(transformers, name)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family], initializer_range=0.1)
    kind(config).eval().save_pretrained(folder)
    tensors, packed, decoded = load_file(folder / "model.safetensors"), {}, {}
    for path, tensor in tensors.items():
        if not quantizes(path, tensor):
            packed[path] = decoded[path] = tensor
            continue
        # GPT-2's are (columns, rows), which the libraries turn
        parts, plain = encode(tensor.T.contiguous() if family == "GPT2" else tensor)
        packed |= {f"{path.removesuffix('weight')}{part}": each for part, each in parts.items()}
        decoded[path] = plain.T.contiguous() if family == "GPT2" else plain
    assert len(packed) > len(tensors)
    save_file(decoded, folder / "model.safetensors", {"format": "pt"})
    theirs = kind.from_pretrained(folder, dtype=torch.float32).eval()
    said = json.loads((folder / "config.json").read_text())
    said |= {"quantization_config": settings, "dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(said))
    save_file({k: v.contiguous() for k, v in packed.items()}, folder / "model.safetensors")
    with torch.inference_mode():
        logits: Tensor = theirs(torch.tensor([TOKENS])).logits[0]
    return logits


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("family", ["Llama", "GPT2"])
def test_logits_are_those_of_the_decoded_weights(family: str, form: str, tmp_path: Path) -> None:
    expected = write(tmp_path, family, form)
    # the libraries round each weight to float16, by 2**-11 at most; kernels do not
    for device, bound in (("reference", 1e-4), ("cpu", 2**-10)):
        ours = loaded(tmp_path, device, dtype="f32", activations="f32")
        with torch.inference_mode():
            found = whole(ours.model, TOKENS).float()
        assert (found - expected).abs().max() < bound * expected.abs().max(), device
    kinds = {type(getattr(module, "weight", None)) for module in loaded(tmp_path).model.modules()}
    packs = {"gptq": Permuted, "awq": Affine, "nf4": Codebook, "int8": Affine}[form]
    assert (packs in kinds) == (family != "GPT2"), kinds


def test_a_configuration_in_a_file_of_its_own_is_read(tmp_path: Path) -> None:
    expected = write(tmp_path, "Llama", "gptq")
    said = json.loads((tmp_path / "config.json").read_text())
    beside = {k: v for k, v in said.pop("quantization_config").items() if k != "quant_method"}
    (tmp_path / "config.json").write_text(json.dumps(said))
    (tmp_path / "quantize_config.json").write_text(json.dumps(beside))
    with torch.inference_mode():
        found = whole(loaded(tmp_path, dtype="f32").model, TOKENS).float()
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_experts_with_and_without_an_order_are_stacked(tmp_path: Path) -> None:
    write(tmp_path, "Mixtral", "gptq")
    tensors = load_file(tmp_path / "model.safetensors")
    for name in tensors:
        if "experts.1." in name and name.endswith("g_idx"):
            tensors[name] = (torch.arange(len(tensors[name])) // 32).int()
    save_file(tensors, tmp_path / "model.safetensors")
    kinds = loaded(tmp_path).report.layouts
    assert any(kind.endswith("/permuted") for kind in kinds)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_broken_is_named_with_file_and_layer(form: str, tmp_path: Path) -> None:
    write(tmp_path, "Llama", form)
    tensors = load_file(tmp_path / "model.safetensors")
    part = {"gptq": "scales", "awq": "scales", "nf4": "weight.absmax", "int8": "SCB"}[form]
    name = f"model.layers.0.mlp.down_proj.{part}"
    broken = tensors[name].float()[..., :-1].contiguous()
    save_file({**tensors, name: broken}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        loaded(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "model.layers.0.mlp.down_proj" in str(caught.value)


@pytest.mark.parametrize(
    ("file", "said", "distribution"),
    [
        ("config.json", {"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ("config.json", {"quantization_config": {"quant_method": "awq"}}, "awq"),
        ("config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "bnb"),
        ("quantize_config.json", {"bits": 4, "group_size": 32}, "gptq"),
        ("quant_config.json", {"w_bit": 4, "q_group_size": 32}, "awq"),
    ],
)
def test_who_lacks_the_plugin_is_told_which_to_install(
    file: str,
    said: dict[str, Any],
    distribution: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    there = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(there | said))
    registry = Registry()
    installed = {kind: found for kind, found in registry._installed.items() if kind != "quantizers"}
    monkeypatch.setattr(registry, "_installed", installed)
    with pytest.raises(PluginNotInstalled) as caught:
        load_model(open_checkpoint(folder, registry), registry, LoadOptions(device="reference"))
    told = f"{caught.value} {caught.value.hint}"
    assert f"pip install tramontane-quant-{distribution}" in told
