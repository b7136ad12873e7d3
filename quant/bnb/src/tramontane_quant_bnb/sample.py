"""A tiny folder with a layer of each kind for the conformance kit."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from .encode import encode, settings

KINDS = ("nf4", "nf4-double", "fp4", "fp4-double")


def write_sample(folder: Path) -> Path:
    """Write it there; returns the folder."""
    torch.manual_seed(0)
    tensors = {"model.norm.weight": torch.ones(96)}
    for kind in KINDS:
        for name, tensor in encode(torch.randn(32, 96).half(), kind).items():
            tensors[f"model.{kind}.{name}"] = tensor
    said = settings({"model.nf4": "nf4"})
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": said}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder
