"""Quantizes matrices to UQFF's parts: what `write` takes.

afq2 ... afq8   as MLX does, scales and biases in float32, groups of 64
mxfp4           as MLX does, which never clips
fp8             one scale: the largest number is the type's largest, 448
f8q8            blocks of 32: d = 416 * largest / 127 in e4m3, codes are weights over d / 416
hqq8, hqq4      axis 0, groups of 64 numbers that lie `groups` apart, as mistral.rs reads them
q8_0            GGML's blocks of 32: d = largest / 127 in float16
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from tramontane_quant_afq.encode import affine
from tramontane_quant_afq.encode import encode as encode_mlx
from tramontane_quant_hqq.encode import optimized
from tramontane_quant_hqq.packing import PACKINGS, words_of

from .formats import F8Q8_DIVISOR
from .parts import AFQ, F8Q8, FP8, GGML, HQQ, MXFP4

GROUP = 64
Made = dict[str, Tensor]
"""Parts by their names below NAME.weight; "" is the weight itself."""


def encode(weight: Tensor, kind: str) -> Made:
    """weight: (rows, columns) float32. Raises ValueError for a kind that is not known, a shape that
    it cannot have, and numbers that are none."""
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    if weight.ndim != 2 or not weight.isfinite().all():
        raise ValueError(f"{kind} is made of matrices of finite numbers, not {tuple(weight.shape)}")
    number, made = KINDS[kind](weight.float(), kind)
    return {**made, "format": _byte(number)}


def _afq(weight: Tensor, kind: str) -> tuple[int, Made]:
    _in_groups(weight, GROUP, kind)
    bits = int(kind[3:])
    made = affine(weight.unflatten(1, (-1, GROUP)), bits)
    parts = {"": made["weight"], "scales": made["scales"], "biases": made["biases"]}
    return AFQ, {**parts, "bits": _byte(bits), "group_size": _byte(GROUP)}


def _mxfp4(weight: Tensor, kind: str) -> tuple[int, Made]:
    made = encode_mlx(weight, kind)
    return MXFP4, {"": made["weight"].view(torch.uint8), "scales": made["scales"]}


def _fp8(weight: Tensor, kind: str) -> tuple[int, Made]:
    most = torch.finfo(torch.float8_e4m3fn).max
    scale = (weight.abs().max() / most).clamp(min=torch.finfo(torch.float32).tiny)
    codes = (weight / scale).clamp(-most, most).to(torch.float8_e4m3fn)
    numbers = {"dequant_w_scale": scale, "dequant_x_scale": scale.clone(), "quant_scale": 1 / scale}
    return FP8, {"": codes, **numbers, "dtype": _number(DTYPE_F32)}


DTYPE_F32 = 9
"""What mistral.rs writes as the type of computing, of a float32 model."""


def _f8q8(weight: Tensor, kind: str) -> tuple[int, Made]:
    _in_groups(weight, 32, kind)
    groups = weight.reshape(-1, 32)
    largest = groups.abs().amax(1, keepdim=True)
    stored = (largest / 127 * F8Q8_DIVISOR).clamp(max=448).to(torch.float8_e4m3fn)
    codes = _codes(groups, stored.float() / F8Q8_DIVISOR)
    raw = torch.cat((stored.view(torch.uint8), codes), 1).flatten()
    return F8Q8, {"": raw, "num_blocks": _number(len(groups)), "shape": _shape(weight)}


def _q8_0(weight: Tensor, kind: str) -> tuple[int, Made]:
    _in_groups(weight, 32, kind)
    groups = weight.reshape(-1, 32)
    stored = (groups.abs().amax(1, keepdim=True) / 127).half()
    if not stored.isfinite().all():
        raise ValueError(f"{kind} has scales in float16, which is too small for these")
    raw = torch.cat((stored.view(torch.uint8), _codes(groups, stored.float())), 1).flatten()
    return GGML, {"": raw, "dtype": _number(8), "shape": _shape(weight)}


def _codes(groups: Tensor, scale: Tensor) -> Tensor:
    """int8 codes as bytes."""
    quotient = torch.where(scale > 0, groups / scale, 0.0)
    return quotient.round().clamp(-128, 127).to(torch.int8).view(torch.uint8)


def _hqq(weight: Tensor, kind: str) -> tuple[int, Made]:
    if weight.numel() % GROUP:
        raise ValueError(f"{kind} needs a multiple of {GROUP} weights, not {tuple(weight.shape)}")
    bits = int(kind[3:])
    codes, scale, zero = optimized(weight.reshape(GROUP, -1).T.contiguous(), bits)
    words = words_of(codes.T.contiguous().to(torch.uint8), PACKINGS[bits])
    return HQQ, {
        "": words,
        "scales": (1 / scale).T.contiguous(),
        "zeros": zero.T.contiguous(),
        "shape": _shape(weight),
        "bits": _byte(bits),
        "group_size": _number(GROUP),
        "axis": _byte(0),
        "optimization_steps": _number(20),
        "round_zeros": _byte(int(bits == 4)),
        "channel_wise": _byte(1),
    }


def _in_groups(weight: Tensor, group: int, kind: str) -> None:
    if weight.shape[1] % group:
        raise ValueError(f"{kind} needs a multiple of {group} columns, not {tuple(weight.shape)}")


def _byte(value: int) -> Tensor:
    return torch.tensor(value, dtype=torch.uint8)


def _number(value: int) -> Tensor:
    return torch.tensor(value, dtype=torch.uint32)


def _shape(weight: Tensor) -> Tensor:
    return torch.tensor(weight.shape, dtype=torch.uint32)


KINDS: dict[str, Callable[[Tensor, str], tuple[int, Made]]] = {
    **{f"afq{bits}": _afq for bits in (2, 3, 4, 6, 8)},
    "mxfp4": _mxfp4, "fp8": _fp8, "f8q8": _f8q8, "hqq8": _hqq, "hqq4": _hqq, "q8_0": _q8_0,
}  # fmt: skip
"""By the names that mistral.rs has for them."""

SENSITIVE = {"afq2": "afq6", "afq3": "afq6", "afq4": "afq6", "afq6": "afq8"}
"""What mistral.rs stores embeddings and heads in; others keep their kind."""
