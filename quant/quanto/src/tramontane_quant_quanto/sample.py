"""A tiny folder for the conformance kit, with a layer of each type of weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

ROWS, COLUMNS = 24, 32
SCALES = {"input_scale": torch.ones(()), "output_scale": torch.ones(())}


def write(folder: Path) -> Path:
    """A folder of which quanto's map is part of the configuration."""
    torch.manual_seed(0)
    tensors: dict[str, Tensor] = {"model.norm.weight": torch.ones(COLUMNS)}
    settings: dict[str, object] = {"quant_method": "quanto"}
    layers = {"qint2": _packed(2), "qint4": _packed(4), "qint8": _whole(torch.int8)}
    layers["qfloat8_e5m2"] = _whole(torch.float8_e5m2)
    layers["qfloat8_e4m3fn"] = _whole(torch.float8_e4m3fn)
    for number, (kind, layer) in enumerate(layers.items()):
        path = f"model.layers.{number}.mlp.up_proj"
        settings[path] = {"weights": kind, "activations": "none"}
        tensors |= {f"{path}.{name}": tensor.clone() for name, tensor in (layer | SCALES).items()}
    config = {"architectures": ["AcmeForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder


def _packed(bits: int) -> dict[str, Tensor]:
    return {
        "weight._data._data": torch.randint(0, 256, (ROWS * bits // 8, COLUMNS), dtype=torch.uint8),
        "weight._scale": torch.rand(ROWS, 1).bfloat16(),
        "weight._shift": torch.rand(ROWS, 1).bfloat16(),
    }


def _whole(dtype: torch.dtype) -> dict[str, Tensor]:
    numbers = (torch.randn(ROWS, COLUMNS) * 30).clamp(-120, 120).to(dtype)
    return {"weight._data": numbers, "weight._scale": torch.rand(ROWS, 1)}
