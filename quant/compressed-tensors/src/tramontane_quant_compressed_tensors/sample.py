"""A tiny folder for the conformance kit: 3 bits with zero points, whose codes cross words."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

ROWS, COLUMNS, GROUP, BITS = 40, 64, 16, 3


def write(folder: Path) -> Path:
    """A folder with a layer of random codes."""
    random = torch.Generator().manual_seed(0)

    def words(rows: int, count: int) -> torch.Tensor:
        wide = -(-count * BITS // 32)
        made = torch.randint(0, 1 << 32, (rows, wide), generator=random, dtype=torch.int64)
        return made.to(torch.int32)

    groups = COLUMNS // GROUP
    layer = {
        "weight_packed": words(ROWS, COLUMNS),
        "weight_scale": torch.rand(ROWS, groups, generator=random).bfloat16(),
        "weight_zero_point": words(groups, ROWS).T,
        "weight_shape": torch.tensor([ROWS, COLUMNS]),
    }
    weights = {
        "num_bits": BITS, "type": "int", "symmetric": False, "strategy": "group",
        "group_size": GROUP, "dynamic": False,
    }  # fmt: skip
    group = {"targets": ["Linear"], "weights": weights, "format": "pack-quantized"}
    settings = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"group_0": group},
        "version": "0.20.0",
    }
    config = {"architectures": ["AcmeForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {f"lm_head.{name}": tensor.contiguous() for name, tensor in layer.items()}
    save_file({**tensors, "model.norm.weight": torch.ones(16)}, folder / "model.safetensors")
    return folder
