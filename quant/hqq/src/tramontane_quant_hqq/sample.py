"""A tiny folder in each of the two ways, for the conformance kit."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .encode import encode
from .layers import NEEDED

WEIGHTS = {"lm_head": (48, 128), "model.layers.0.mlp.up_proj": (10, 64)}


def write_folder(folder: Path) -> Path:
    """Layers of 4 and 3 bits in safetensors, with what decides of their weights and no more."""
    tensors = {
        f"{path}.{name}": made[name] for path, made in _layers().items() for name in NEEDED
    }  # fmt: skip
    tensors["model.norm.weight"] = torch.ones(128)
    _config(folder, {"quant_method": "hqq", "quant_config": {}})
    save_file(tensors, folder / "model.safetensors")
    return folder


def write_qmodel(folder: Path) -> Path:
    """The same as hqq saves it."""
    modules = {path: _values(made) for path, made in _layers().items()}
    path = folder / "qmodel.pt"
    torch.save({**modules, "model.norm": {"weight": torch.ones(128)}}, path)
    _config(folder, None)
    return path


def _layers() -> dict[str, dict[str, Tensor]]:
    torch.manual_seed(0)
    kinds = zip(WEIGHTS.items(), ("hqq4", "hqq3"), strict=True)
    return {path: encode(torch.randn(shape), kind) for (path, shape), kind in kinds}


def _values(made: dict[str, Tensor]) -> dict[str, object]:
    numbers = {name: int(made[name]) for name in ("nbits", "group_size", "axis")}
    return {
        **{name: made[name] for name in ("W_q", "scale", "zero")},
        **numbers,
        "shape": torch.Size(made["shape"].tolist()),
        "packing": bytes(made["packing"].tolist()).decode(),
        "compute_dtype": torch.float16,
        "bias": None,
    }


def _config(folder: Path, quantization: dict[str, object] | None) -> None:
    config: dict[str, object] = {"architectures": ["LlamaForCausalLM"]}
    if quantization is not None:
        config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config))
