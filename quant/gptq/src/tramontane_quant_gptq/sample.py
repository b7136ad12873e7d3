"""A tiny folder of random layers for the conformance kit: 3 bits, zeros, and act-order."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

COLUMNS, ROWS, GROUP, BITS = 128, 64, 32, 3


def write_sample(folder: Path) -> Path:
    """Write it there; returns the folder."""
    torch.manual_seed(0)
    groups = COLUMNS // GROUP
    least, most = -(1 << 31), 1 << 31
    tensors = {
        "lm_head.qweight": torch.randint(least, most, (COLUMNS * BITS // 32, ROWS)).int(),
        "lm_head.qzeros": torch.randint(least, most, (groups, ROWS * BITS // 32)).int(),
        "lm_head.scales": torch.rand(groups, ROWS).half(),
        "lm_head.g_idx": (torch.randperm(COLUMNS) // GROUP).int(),
        "model.norm.weight": torch.ones(COLUMNS),
    }
    settings = {
        "quant_method": "gptq", "checkpoint_format": "gptq", "bits": BITS, "group_size": GROUP,
        "desc_act": True, "sym": False,
    }  # fmt: skip
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder
