"""Quantizes as hqq does on a CPU, axis 1, groups of 64.

Zeros are sought that make |weight - decoded| ^ 0.7 small, by half-quadratic splitting: what is left
over is shrunk, by which zeros are moved to its mean, up to 20 times, as long as the mean of |weight
- decoded| over the matrix falls. All in float32. Scales stay those of each group's range.

Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", 2023.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .packing import PACKINGS, words_of

GROUP = 64
NORM, ROUNDS = 0.7, 20
BETA = 10.0
STEP = 4096
"""Groups that are computed at once, a cacheful."""


def encode(weight: Tensor, kind: str) -> dict[str, Tensor]:
    """weight: (rows, columns) float32 -> the layer's state, as hqq's own with float16 numbers.

    Raises ValueError for columns that are no multiple of 64, and numbers that float16 lacks.
    """
    bits = int(kind.removeprefix("hqq"))
    if weight.ndim != 2 or weight.shape[1] % GROUP:
        raise ValueError(f"{kind} needs a multiple of {GROUP} columns, not {tuple(weight.shape)}")
    groups = weight.float().reshape(-1, GROUP)
    codes, scale, zero = optimized(groups, bits)
    scale, zero = (1.0 / scale).half(), zero.half()
    if not (scale.isfinite().all() and zero.isfinite().all()):
        raise ValueError(f"{kind} has scales and zeros in float16, which is too small for these")
    whole = {"nbits": bits, "group_size": GROUP, "axis": 1}
    flags = {
        "view_as_float": 0, "quant_scale": 0, "quant_zero": 0, "offload_meta": 0,
        "encoded_state_dict": 1, "stores_quant_config": 1, "channel_wise": 1, "optimize": 1,
        "round_zero": int(bits == 4),
    }  # fmt: skip
    packing = PACKINGS[bits]
    words = words_of(codes.to(torch.uint8), packing)
    said = {
        "packing": packing, "unpack_view_dtype": str(words.dtype), "compute_dtype": "torch.float16",
    }  # fmt: skip
    return {
        "W_q": words,
        "scale": scale,
        "zero": zero,
        "shape": torch.tensor(weight.shape),
        **{name: torch.tensor(value, dtype=torch.int32) for name, value in whole.items()},
        **{name: torch.tensor(value, dtype=torch.uint8) for name, value in flags.items()},
        **{name: torch.tensor([*text.encode()], dtype=torch.uint8) for name, text in said.items()},
    }


def optimized(groups: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """groups: (groups, 64) -> codes (groups, 64), inverse scales (groups, 1), zeros (groups, 1)."""
    most = (1 << bits) - 1
    least = groups.amin(1, keepdim=True)
    width = groups.amax(1, keepdim=True) - least
    scale = torch.where(width.abs() <= 1e-4, 1.0, most / width).clamp(max=2e4)
    zero = -least * scale
    if bits == 4:
        zero = zero.round()
    best, errors, codes = torch.inf, torch.empty_like(groups), torch.empty_like(groups)
    parts = [slice(start, start + STEP) for start in range(0, len(groups), STEP)]
    for _ in range(ROUNDS):
        for part in parts:
            weight, own, inverse = groups[part], zero[part], scale[part]
            near = (weight * inverse + own).round_().clamp_(0, most)
            apart = weight - (near - own).div_(inverse)
            errors[part] = apart.abs()
            zero[part] = (near - (weight - _shrunk(apart)) * inverse).mean(1, keepdim=True)
        # over the whole matrix, and as one sum, so that it ends where hqq ends
        error = float(errors.mean())
        if not error < best:
            break
        best = error
    for part in parts:
        codes[part] = (groups[part] * scale[part] + zero[part]).round_().clamp_(0, most)
    return codes, scale, zero


def _shrunk(apart: Tensor) -> Tensor:
    size = apart.abs()
    return (size - size.pow(NORM - 1) / BETA).clamp(min=0) * apart.sign()


def settings(kinds: Mapping[str, str]) -> dict[str, Any]:
    """The `quantization_config` of a folder, as transformers 4 wrote it; a layer that differs is
    described under its path. What is read are the layers' own tensors."""
    usual = Counter(kinds.values()).most_common(1)[0][0] if kinds else "hqq4"
    own = {path: _said(kind) for path, kind in kinds.items() if kind != usual}
    return {"quant_method": "hqq", "quant_config": {**_said(usual), **own}, "skip_modules": []}


def _said(kind: str) -> dict[str, Any]:
    bits = int(kind.removeprefix("hqq"))
    return {"weight_quant_params": {
        "nbits": bits, "group_size": GROUP, "axis": 1, "channel_wise": True, "optimize": True,
        "round_zero": bits == 4, "view_as_float": False,
    }}  # fmt: skip
