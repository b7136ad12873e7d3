"""Whole models: the logits are those of the same model with its weights decoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tramontane.testing.forward_passes import whole
from tramontane_quant_afq.encode import encode, settings

TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
SMALL = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
    "initializer_range": 0.1, "head_dim": 16,
}  # fmt: skip
FAMILIES = {
    "Llama": SMALL,
    "Mixtral": SMALL | {"num_local_experts": 3, "num_experts_per_tok": 2},
    "Qwen3Moe": SMALL | {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 64},
}
EXPERTS = {
    "block_sparse_moe.experts": "block_sparse_moe.switch_mlp", "mlp.experts": "mlp.switch_mlp",
    ".w1": ".gate_proj", ".w2": ".down_proj", ".w3": ".up_proj",
}  # fmt: skip
KINDS = ["afq4", "afq8", "afq3", "mxfp4", "nvfp4", "mxfp8"]


def packed(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A model's tensors quantized, each layer in another kind and experts stacked as mlx-lm has
    them; and the same decoded, under their own names."""
    tensors, kinds, out = load_file(folder / "model.safetensors"), {}, {}
    decoded, stacks = {}, {}
    for count, (name, tensor) in enumerate(sorted(tensors.items())):
        path = name.removesuffix(".weight")
        if tensor.ndim != 2 or path.endswith(".gate"):
            out[name] = decoded[name] = tensor
            continue
        number = next((part for part in path.split(".experts.")[-1:] if part[0].isdigit()), "")
        kind = KINDS[3] if number else KINDS[count % len(KINDS)]
        made = encode(tensor, kind)
        layout = translated(made, kind)
        decoded[name] = layout.decode()
        if number:
            path = path.replace(f".{number}", f".{number.partition('.')[2]}")
            for old, new in EXPERTS.items():
                path = path.replace(old, new)
            stacks.setdefault(path, []).append(made)
        else:
            out |= {f"{path}.{part}": each for part, each in made.items()}
        kinds[path] = kind
    for path, parts in stacks.items():
        out |= {f"{path}.{part}": torch.stack([one[part] for one in parts]) for part in parts[0]}
    config = json.loads((folder / "config.json").read_text())
    config["quantization"] = config["quantization_config"] = settings(kinds)
    (folder / "config.json").write_text(json.dumps(config))
    return out, decoded


def translated(made: dict[str, torch.Tensor], kind: str) -> Any:
    from tramontane_quant_afq.layers import translate

    return translate(made, settings({"p": kind}), "p")


@pytest.mark.parametrize("family", ["Llama", "Mixtral"])
def test_logits_are_those_of_the_decoded_weights(family: str, load: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")
    model(getattr(transformers, f"{family}Config")(**FAMILIES[family])).save_pretrained(tmp_path)
    plain = (tmp_path / "config.json").read_text()
    tensors, decoded = packed(tmp_path)
    said = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(plain)
    save_file(decoded, tmp_path / "model.safetensors", {"format": "pt"})
    with torch.inference_mode():
        theirs = model.from_pretrained(tmp_path).eval()
        expected = theirs(torch.tensor([TOKENS])).logits[0]
    (tmp_path / "config.json").write_text(said)
    save_file(tensors, tmp_path / "model.safetensors")
    for device in ("reference", "cpu"):
        ours = load(tmp_path, device, dtype="f32", activations="f32")
        assert any("affine" in kind for kind in ours.report.layouts)
        assert any("codebook" in kind for kind in ours.report.layouts)
        with torch.inference_mode():
            found = whole(ours.model, TOKENS).float()
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max(), device


@pytest.mark.parametrize("kind", ["affine-4", "mxfp4"])
def test_what_mlx_lm_wrote_runs(kind: str, golden: Callable[[str], Path], load: Any) -> None:
    found = [
        whole(load(golden(kind), device, dtype="f32", activations="f32").model, TOKENS)
        for device in ("reference", "cpu")
    ]
    # the reference rounds to bfloat16 as MLX does, kernels do not
    bound = 1e-4 if kind == "mxfp4" else 4e-3
    assert (found[0] - found[1]).abs().max() < bound * found[0].abs().max()


@pytest.mark.parametrize("family", ["Mixtral", "Qwen3Moe"])
def test_unquantized_experts_have_the_same_names(family: str, load: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")
    theirs = model(getattr(transformers, f"{family}Config")(**FAMILIES[family])).eval()
    theirs.save_pretrained(tmp_path)
    tensors, stacks = {}, {}
    for name, tensor in sorted(load_file(tmp_path / "model.safetensors").items()):
        path, _, tail = name.partition(".experts.")
        number, _, tail = tail.partition(".")
        if not number.isdigit():
            tensors[name] = tensor
            continue
        for old, new in EXPERTS.items():
            tail = f".{tail}".replace(old, new).removeprefix(".")
        stacks.setdefault(f"{path}.switch_mlp.{tail}", []).append(tensor)
    assert len(stacks) == 6
    tensors |= {name: torch.stack(parts) for name, parts in stacks.items()}
    save_file(tensors, tmp_path / "model.safetensors")
    with torch.inference_mode():
        expected = theirs(torch.tensor([TOKENS])).logits[0]
        found = whole(load(tmp_path, dtype="f32").model, TOKENS).float()
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
