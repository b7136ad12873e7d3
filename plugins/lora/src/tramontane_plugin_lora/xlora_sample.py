"""A tiny X-LoRA of one adapter, for the conformance kit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from tramontane.testing.tiny_model import TINY

from .sample import write as write_adapter
from .xlora_classifier import FILE
from .xlora_config import OLD_CONFIG


def write(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> Path:
    """shapes: (rows, columns) of the matrices to change, by their weights' names."""
    hidden = int(TINY.example["hidden_size"])
    (folder / "adapter_1").mkdir()
    write_adapter(folder / "adapter_1", shapes)
    save_file({"last.weight": torch.zeros(1, hidden), "last.bias": torch.zeros(1)}, folder / FILE)
    settings = {"hidden_size": hidden, "xlora_depth": 1, "adapters": {"adapter_1": "adapter_1"}}
    (folder / OLD_CONFIG).write_text(json.dumps(settings))
    return folder
