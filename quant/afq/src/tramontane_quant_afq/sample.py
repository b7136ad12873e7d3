"""A tiny folder as MLX would write it, for the conformance kit."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from .encode import encode


def write_sample(folder: Path) -> Path:
    """A folder with one layer of 4 bits, as MLX packs it."""
    torch.manual_seed(0)
    named = {"lm_head": torch.randn(48, 128), "model.layers.0.mlp.up_proj": torch.randn(8, 64)}
    tensors = {
        f"{path}.{name}": tensor
        for path, weight in named.items()
        for name, tensor in encode(weight.bfloat16().float(), "afq4").items()
    }
    tensors["model.norm.weight"] = torch.ones(128)
    settings = {"group_size": 64, "bits": 4, "mode": "affine", "quant_method": "afq"}
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder
