"""Tiny folders for the conformance kit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .encode import encode


def fp8(folder: Path) -> Path:
    """A layer in blocks of 16 x 32, cut off at both ends, and one with a scale a row."""
    random = torch.Generator().manual_seed(0)
    numbers = (torch.randn(40, 80, generator=random) * 100).to(torch.float8_e4m3fn)
    scale = torch.rand(3, 3, generator=random)
    settings = {"quant_method": "fp8", "weight_block_size": [16, 32]}
    head = {"weight": numbers, "weight_scale_inv": scale}
    return _write(folder, settings, head, encode(torch.randn(24, 80, generator=random), "fp8"))


def fbgemm(folder: Path) -> Path:
    """Two layers with a scale a row."""
    random = torch.Generator().manual_seed(0)
    layers = [encode(torch.randn(24, 32, generator=random), "fp8") for _ in range(2)]
    named = [{"weight": x["weight"], "weight_scale": x["weight_scale_inv"]} for x in layers]
    return _write(folder, {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}, *named)


def modelopt(folder: Path) -> Path:
    """A layer of NVFP4 and one of FP8."""
    random = torch.Generator().manual_seed(0)
    four = {
        "weight": torch.randint(0, 256, (24, 32), generator=random, dtype=torch.uint8),
        "weight_scale": (torch.rand(24, 4, generator=random) * 448).to(torch.float8_e4m3fn),
        "weight_scale_2": torch.tensor(0.00037),
    }
    numbers = (torch.randn(24, 64, generator=random) * 100).to(torch.float8_e4m3fn)
    eight = {"weight": numbers, "weight_scale": torch.tensor(0.0021)}
    settings = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {}}
    return _write(folder, settings, four, eight)


def _write(folder: Path, settings: Mapping[str, Any], *layers: Mapping[str, Tensor]) -> Path:
    config = {"architectures": ["AcmeForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {
        f"model.layers.{number}.{name}": tensor
        for number, layer in enumerate(layers) for name, tensor in layer.items()
    }  # fmt: skip
    norm = {"model.norm.weight": torch.ones(16)}
    save_file({**tensors, **norm}, folder / "model.safetensors")
    return folder
