"""A tiny file with most formats, for the conformance kit."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from .encode import encode
from .parts import VERSION
from .writer import WRITTEN

KINDS = ("afq4", "afq3", "mxfp4", "fp8", "f8q8", "hqq4", "hqq8", "q8_0")


def write_sample(folder: Path) -> Path:
    """A matrix of each kind, and a norm."""
    torch.manual_seed(0)
    tensors = {"model.norm.weight": torch.ones(64)}
    for count, kind in enumerate(KINDS):
        name = f"model.layers.{count}.mlp.up_proj.weight"
        for part, tensor in encode(torch.randn(64, 64), kind).items():
            tensors[f"{name}.{part}" if part else name] = tensor
    for name, number in zip(VERSION, WRITTEN, strict=True):
        tensors[name] = torch.tensor(number, dtype=torch.uint32)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    path = folder / "sample-0.uqff"
    save_file(tensors, path, {"uqff.version": "1.2.0"})
    return path
