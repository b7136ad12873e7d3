"""A tiny folder with layers of several widths, for the conformance kit."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .trellis import MULTIPLIERS

LAYERS = {"q_proj": 3, "k_proj": 4, "v_proj": 1}


def layer(
    rows: int, columns: int, bits: int, codebook: str, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Any words: all of them are weights."""
    words = torch.randint(-(1 << 15), 1 << 15, (columns // 16, rows // 16, 16 * bits))
    named = {
        "trellis": words.to(torch.int16),
        "suh": torch.randn(columns).to(dtype),
        "svh": torch.randn(rows).to(dtype) / 100,
    }
    if codebook != "3inst":
        named[codebook] = torch.tensor(MULTIPLIERS[codebook], dtype=torch.uint32).view(torch.int32)
    return named


def write_sample(folder: Path) -> Path:
    """Layers of 128 x 128. Scales in float32, so that the last bits can be compared."""
    torch.manual_seed(0)
    tensors = {"model.norm.weight": torch.ones(128)}
    for name, bits in LAYERS.items():
        made = layer(128, 128, bits, "mcg", torch.float32)
        tensors |= {f"model.layers.0.self_attn.{name}.{part}": each for part, each in made.items()}
    settings = {"quant_method": "exl3", "bits": 3.0, "head_bits": 6, "codebook": "mcg"}
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder
