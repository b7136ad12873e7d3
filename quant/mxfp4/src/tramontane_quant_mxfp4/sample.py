"""A tiny folder for the conformance kit, with tensors below the layers' paths."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file


def write(folder: Path) -> Path:
    """A folder with two layers of random experts."""
    random = torch.Generator().manual_seed(0)
    tensors = {"model.norm.weight": torch.ones(64)}
    for name, (rows, groups) in {"gate_up_proj": (48, 2), "down_proj": (64, 1)}.items():
        path, shape = f"model.layers.0.mlp.experts.{name}", (3, rows, groups)
        blocks = torch.randint(0, 256, (*shape, 16), generator=random, dtype=torch.uint8)
        scales = torch.randint(110, 130, shape, generator=random, dtype=torch.uint8)
        tensors |= {f"{path}.blocks": blocks, f"{path}.scales": scales}
    config = {
        "architectures": ["AcmeForCausalLM"],
        "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder
