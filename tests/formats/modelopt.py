"""ModelOpt: FP8 and NVFP4, and models with both.

FP8    weight = number * weight_scale
NVFP4  weight = number * (weight_scale * weight_scale_2)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .bits import E2M1, any_codes, pairs, spread
from .folder import Make, as_folder, fused
from .fp8 import E4M3, by_rows, make, with_inputs
from .models import EXPERT, MIXTURES
from .record import Format, Matrix, Variant


def nvfp4(path: str, weight: Tensor) -> Matrix:
    codes = any_codes(weight.shape, 4)
    scale = (torch.rand(len(weight), weight.shape[1] // 16) * 300 + 50).to(E4M3)
    expert = EXPERT.fullmatch(path)
    above = torch.tensor(0.0002 * (1 + int(expert["number"]) if expert else 1))
    parts = {"weight": pairs(codes), "weight_scale": scale, "weight_scale_2": above}
    return Matrix(parts, E2M1[codes] * spread(scale.float() * above, weight.shape))


def stacked_name(path: str, part: str) -> str:
    return path if part == "weight" else f"{path}_{part}"


STACKED = fused(stacked_name)
EIGHT: dict[str, Make] = {
    "FP8": make(E4M3, None, torch.float32, "weight_scale"),
    "FP8_PER_CHANNEL_PER_TOKEN": by_rows("weight_scale", flat=True),
    "FP8_PB_WO": make(E4M3, (128, 128), torch.float32, "weight_scale"),
}


def said(name: str, **more: Any) -> dict[str, Any]:
    return {"quant_method": "modelopt", "quant_algo": name, **more}


def mixed(path: str, weight: Tensor) -> Matrix:
    return (EIGHT["FP8"] if "self_attn" in path else nvfp4)(path, weight)


def variants() -> list[Variant]:
    made = [
        Variant(name, "config.json", as_folder(with_inputs(kind), said(name)))
        for name, kind in EIGHT.items()
    ]
    inside = {"quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4"}}
    made += [
        Variant("NVFP4", "config.json", as_folder(nvfp4, said("NVFP4"))),
        Variant("NVFP4", "hf_quant_config", as_folder(with_inputs(nvfp4), inside)),
        Variant("mixed", "by layer",
                as_folder(mixed, said("MIXED_PRECISION", quantized_layers={}))),
        Variant("experts stacked", "NVFP4",
                as_folder(nvfp4, said("NVFP4"), arrange=STACKED), MIXTURES),
        Variant("experts stacked", "rows",
                as_folder(by_rows("weight_scale"), said("FP8"), arrange=STACKED), MIXTURES),
    ]  # fmt: skip
    return made


FORMAT = Format(
    about="`quant_method: modelopt`, its settings in config.json's words and in those of "
    "`hf_quant_config.json`; scales of inputs, which are not used.",
    held="the float that torch makes of the byte times its scale; E2M1's number times both scales",
    variants=tuple(variants()),
)
