"""A tiny folder with a random layer for the conformance kit."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

COLUMNS, ROWS, GROUP = 128, 48, 32


def write_sample(folder: Path) -> Path:
    """Write it there; returns the folder."""
    torch.manual_seed(0)
    least, most = -(1 << 31), 1 << 31
    tensors = {
        "lm_head.qweight": torch.randint(least, most, (COLUMNS, ROWS // 8)).int(),
        "lm_head.qzeros": torch.randint(least, most, (COLUMNS // GROUP, ROWS // 8)).int(),
        "lm_head.scales": torch.rand(COLUMNS // GROUP, ROWS).half(),
        "model.norm.weight": torch.ones(COLUMNS),
    }
    settings = {
        "quant_method": "awq", "version": "gemm", "bits": 4, "group_size": GROUP,
        "zero_point": True,
    }  # fmt: skip
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder
