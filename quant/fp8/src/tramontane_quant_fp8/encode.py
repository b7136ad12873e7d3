"""Rounds matrices to 8-bit floats, as `quant_method: fp8` stores them.

"fp8": a scale for each row; "fp8-block": one for each block of 128 x 128. scale = largest / 448,
in float32, so that the largest number of a row or block becomes the largest e4m3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

BLOCK = 128
LARGEST = torch.finfo(torch.float8_e4m3fn).max


def encode(weight: Tensor, kind: str) -> dict[str, Tensor]:
    """weight: (rows, columns) -> weight (rows, columns), weight_scale_inv. Raises ValueError."""
    weight = weight.float()
    if not weight.isfinite().all():
        raise ValueError("some of its weights are infinite or not numbers")
    if kind == "fp8":
        scale = weight.abs().amax(1, keepdim=True)
    elif kind == "fp8-block":
        if weight.shape[0] % BLOCK or weight.shape[1] % BLOCK:
            raise ValueError(f"{tuple(weight.shape)} are no multiples of {BLOCK}")
        parts = weight.unflatten(0, (-1, BLOCK)).unflatten(2, (-1, BLOCK))
        scale = parts.abs().amax((1, 3))
    else:
        raise ValueError(f"{kind!r} is not one of fp8, fp8-block")
    scale = scale / LARGEST
    scale = torch.where(scale > 0, scale, 1.0)
    each = scale
    if kind == "fp8-block":
        each = scale.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    numbers = (weight / each).clamp(-LARGEST, LARGEST)
    return {"weight": numbers.to(torch.float8_e4m3fn), "weight_scale_inv": scale}


def settings(kinds: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a folder of such layers. The shapes of scales tell kinds apart."""
    blocks = "fp8-block" in kinds.values()
    return {
        "quant_method": "fp8",
        "fmt": "e4m3",
        "activation_scheme": "dynamic",
        "weight_block_size": [BLOCK, BLOCK] if blocks else None,
    }
