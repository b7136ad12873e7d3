"""A tiny adapter as peft saves them, for the conformance kit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from .peft import FILES, PREFIX
from .peft_config import CONFIG

RANK = 2


def write(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> Path:
    """shapes: (rows, columns) of the matrices to change, by their weights' names."""
    tensors = {}
    for name, (rows, columns) in shapes.items():
        module = PREFIX + name.removesuffix(".weight")
        tensors[f"{module}.lora_A.weight"] = torch.full((RANK, columns), 0.5)
        tensors[f"{module}.lora_B.weight"] = torch.full((rows, RANK), 0.5)
    save_file(tensors, folder / FILES[0])
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK}
    (folder / CONFIG).write_text(json.dumps(settings))
    return folder
