"""Whole models, in both ways: the logits are those of the same model with its weights decoded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole
from tramontane_quant_hqq.layers import translate
from tramontane_quant_hqq.plain import layer

from .test_layers import encoded, stored

TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
SMALL = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
    "head_dim": 16,
}  # fmt: skip
FAMILIES = {
    "Llama": SMALL,
    "Mixtral": SMALL | {"num_local_experts": 3, "num_experts_per_tok": 2},
}
CHOICES = [(4, 1, 32), (3, 0, 8), (8, 1, 64), (2, 0, 16), (1.58, 1, 16), (5, 1, 32)]


def loaded(path: Path, device: str) -> Loaded:
    registry = Registry()
    options = LoadOptions(device=device, dtype="f32", activations="f32")
    return load_model(open_checkpoint(path, registry), registry, options)


def quantized(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Tensor]]:
    """Layers of a model with random codes, by their paths, and all tensors decoded."""
    layers, decoded = {}, {}
    for count, (name, tensor) in enumerate(sorted(load_file(path).items())):
        stem = name.removesuffix(".weight")
        decoded[name] = tensor
        if tensor.ndim != 2 or stem.endswith((".gate", "embed_tokens", "lm_head")):
            continue
        bits, axis, group = CHOICES[3 if ".experts." in stem else count % len(CHOICES)]
        said = stored((tensor.shape[0], tensor.shape[1]), group, axis, bits, torch.float32)
        said["scale"] = said["scale"] / 2**bits / 4
        layers[stem], decoded[name] = said, layer(said)
    return layers, decoded


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_decoded_weights(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")
    model(getattr(transformers, f"{family}Config")(**FAMILIES[family])).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    layers, decoded = quantized(weights)
    save_file(decoded, weights, {"format": "pt"})
    with torch.inference_mode():
        expected = model.from_pretrained(tmp_path).eval()(torch.tensor([TOKENS])).logits[0]

    dense = {name: t for name, t in decoded.items() if name.removesuffix(".weight") not in layers}
    modules: dict[str, dict[str, Any]] = {stem: {**said, "bias": None} for stem, said in
                                          layers.items()}  # fmt: skip
    for name, tensor in dense.items():
        stem, _, last = name.rpartition(".")
        modules.setdefault(stem, {})[last] = tensor
    weights.unlink()
    torch.save(modules, tmp_path / "qmodel.pt")
    check(tmp_path, expected, "qmodel")
    check(tmp_path / "qmodel.pt", expected, "qmodel")

    (tmp_path / "qmodel.pt").unlink()
    tensors = {f"{stem}.{name}": each for stem, said in layers.items()
               for name, each in encoded(said).items()}  # fmt: skip
    save_file(tensors | dense, weights)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "hqq", "quant_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    check(tmp_path, expected, "safetensors")


def check(path: Path, expected: Tensor, container: str) -> None:
    for device in ("reference", "cpu"):
        ours = loaded(path, device)
        assert ours.report.container == container
        assert any("row-groups" in kind for kind in ours.report.layouts)
        assert any("zeros" in kind for kind in ours.report.layouts)
        with torch.inference_mode():
            found = whole(ours.model, TOKENS).float()
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max(), device


def test_a_qmodel_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "qmodel.pt"
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    for content, said in (
        ({"weight": torch.ones(2)}, "must hold a dict of each module's dict"),
        ({}, "holds no modules"),
        ({"a": {"weight": 3}}, "a.weight is no dense tensor"),
        ({"a": {"W_q": torch.ones(2)}}, "a: shape=None is not rows and columns"),
        ({"a": {"weight": Path("x")}}, "is not a whole qmodel.pt"),
    ):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
            open_checkpoint(tmp_path, Registry())
        assert str(path) in str(caught.value)


def test_the_layer_of_a_damaged_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    said = stored((16, 64), 32, 1, 4, torch.float16) | {"axis": 3}
    torch.save({"model.layers.0.mlp.up_proj": said}, tmp_path / "qmodel.pt")
    opened = open_checkpoint(tmp_path, Registry())
    with pytest.raises(CheckpointError, match=r"qmodel.pt: model.layers.0.mlp.up_proj: axis=3"):
        opened.read("model.layers.0.mlp.up_proj.weight")
    assert translate(encoded(said | {"axis": 1}), {}) is not None
