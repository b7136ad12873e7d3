"""FP8 and NVFP4 as NVIDIA's ModelOpt writes them.

FP8: weight (rows, columns) e4m3, weight_scale one number, (rows) or (rows, 1);
    weight = number * weight_scale.
NVFP4: weight uint8 (rows, columns / 2), two e2m1 in a byte, the first in its low half; weight_scale
    e4m3 (rows, columns / 16), weight_scale_2 one float32;
    weight = number * (weight_scale * weight_scale_2).

The configuration is that of `hf_quant_config.json`, with everything under `quantization`, or
config.json's with the same keys at its top. `input_scale` is read and not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, Layout, float_table

from .layers import EIGHT, WEIGHTS, name_of, one_of, scaled

SCALES = ("weight_scale", "scale")
EIGHT_BITS = {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO"}
FOUR_BITS = {"NVFP4", "W4A16_NVFP4", "NVFP4_W4A16"}


def algorithm(config: Mapping[str, Any], path: str) -> str:
    """How a layer was quantized. Raises CheckpointError for what is not supported."""
    inner = config.get("quantization")
    settings = inner if isinstance(inner, Mapping) else config
    name = settings.get("quant_algo")
    layers = settings.get("quantized_layers")
    if isinstance(layers, Mapping) and isinstance(own := layers.get(path), Mapping):
        name = own.get("quant_algo")
    if name in EIGHT_BITS | FOUR_BITS or (name == "MIXED_PRECISION" and layers is not None):
        return str(name)
    supported = ", ".join(sorted(EIGHT_BITS | FOUR_BITS))
    raise CheckpointError(f"{path}: quant_algo {name!r} is not supported; supported: {supported}")


def translate(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str = "the layer"
) -> Layout:
    """A layer's matrix (rows, columns), or those of stacked experts below each other. Raises
    CheckpointError."""
    name = algorithm(config, path)
    if "pre_quant_scale" in tensors:
        raise CheckpointError(
            f"{path}: pre_quant_scale, which multiplies activations (AWQ), is not supported"
        )
    weight, scale = one_of(WEIGHTS, tensors, path), one_of(SCALES, tensors, path)
    tensors.get("input_scale")
    if weight.dtype in EIGHT and name not in FOUR_BITS:
        return scaled(weight, scale, None, path)
    if weight.dtype == torch.uint8 and name not in EIGHT_BITS:
        return nvfp4(weight, scale, one_of(("weight_scale_2", "scale_2"), tensors, path), path)
    raise CheckpointError(
        f"{path}: its weight is {name_of(weight)}, which quant_algo {name!r} does not have"
    )


def nvfp4(weight: Tensor, scale: Tensor, above: Tensor, path: str) -> Codebook:
    """weight: (..., rows, columns / 2), scale: (..., rows, groups), above: () or one for each
    stacked matrix -> (all rows, columns). Raises CheckpointError."""
    stack, (rows, half) = weight.shape[:-2], weight.shape[-2:]
    if scale.dtype != torch.float8_e4m3fn or scale.shape[:-1] != weight.shape[:-1]:
        raise CheckpointError(
            f"{path}: its scales are {name_of(scale)} {tuple(scale.shape)}; NVFP4 has "
            f"float8_e4m3fn for {rows} rows"
        )
    groups = scale.shape[-1]
    if not groups or half * 2 % groups or above.numel() not in (1, stack.numel()):
        raise CheckpointError(
            f"{path}: {groups} scales a row and {above.numel()} for all do not belong to "
            f"{tuple(weight.shape)} bytes of weights"
        )
    # one number for each row, without copies of it
    each = above.float().reshape(-1, 1, 1).expand(stack.numel(), rows, 1).reshape(-1, 1)
    codes = weight.flatten(0, -2).contiguous()
    table = float_table("e2m1")
    return Codebook(4, half * 2 // groups, (codes,), table, scale.flatten(0, -2), each)
