"""Small matrices of each type of weights, and the sums of what optimum-quanto makes of them.

SHA is of `dequantize()` in float32 of optimum-quanto 0.2.7, of tensors as `load_from_state_dict` of
WeightQBytesTensor and WeightQBitsTensor makes them.
"""

from __future__ import annotations

import hashlib
from math import prod

import torch
from torch import Tensor

BF16 = torch.bfloat16


def ints(*shape: int, high: int = 256, step: int = 7) -> Tensor:
    """Bytes that do not repeat soon, on every machine the same."""
    raw = torch.arange(prod(shape)) * step + torch.arange(prod(shape)) ** 2 % 11
    return (raw % high).reshape(shape).to(torch.uint8)


def floats(*shape: int, dtype: torch.dtype = torch.float32, step: int = 13) -> Tensor:
    """Positive numbers with all their digits."""
    return ((ints(*shape, high=97, step=step) + 1.3) / 1024).to(dtype)


def eight(dtype: torch.dtype) -> Tensor:
    """Codes of 8-bit floats, all of them numbers: (6, 40)."""
    codes = ints(6, 40)
    return codes.masked_fill(~codes.view(dtype).float().isfinite(), 1).view(dtype)


def packed(groups: int, group: int, bits: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        "weight._data._data": ints(-(-groups * bits // 8), group),
        "weight._scale": floats(groups, 1, dtype=dtype),
        "weight._shift": floats(groups, 1, dtype=dtype, step=29) * 3,
    }


def whole(data: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    return {"weight._data": data, "weight._scale": floats(6, 1, dtype=dtype)}


Case = tuple[str, tuple[int, int], dict[str, Tensor]]
CASES: dict[str, Case] = {
    "qint4 rows": ("qint4", (6, 40), packed(6, 40, 4, BF16)),
    "qint4 groups": ("qint4", (5, 192), packed(10, 96, 4, torch.float16)),
    "qint4 odd groups": ("qint4", (7, 40), packed(7, 40, 4, torch.float32)),
    "qint4 odd columns": ("qint4", (6, 9), packed(6, 9, 4, BF16)),
    "qint2 rows": ("qint2", (6, 40), packed(6, 40, 2, BF16)),
    "qint2 groups": ("qint2", (3, 192), packed(18, 32, 2, torch.float32)),
    "qint4 whole shifts": (
        "qint4", (6, 64), packed(12, 32, 4, BF16) | {"weight._shift": ints(12, 1, high=16)},
    ),
    "qint8": ("qint8", (6, 40), whole(ints(6, 40).view(torch.int8), BF16)),
    "qint8 float32": ("qint8", (6, 40), whole(ints(6, 40).view(torch.int8), torch.float32)),
    "qfloat8_e4m3fn": ("qfloat8_e4m3fn", (6, 40), whole(eight(torch.float8_e4m3fn), BF16)),
    "qfloat8_e5m2": ("qfloat8_e5m2", (6, 40), whole(eight(torch.float8_e5m2), torch.float16)),
    "qfloat8_e4m3fnuz": (
        "qfloat8_e4m3fnuz", (6, 40), whole(eight(torch.float8_e4m3fnuz), torch.float32),
    ),
}  # fmt: skip

SHA = {
    "qint4 rows": "9b2ac4ae3e0524f8",
    "qint4 groups": "71e2035dc2dca36d",
    "qint4 odd groups": "7f3f16bd76a769f3",
    "qint4 odd columns": "9407b57b8af37eb1",
    "qint2 rows": "ad8b4c0ccca3018c",
    "qint2 groups": "4fb5f168fbcf3a41",
    "qint4 whole shifts": "9f4a4ff70bc6f219",
    "qint8": "9897f86c59c0d5f1",
    "qint8 float32": "f330c3168d694164",
    "qfloat8_e4m3fn": "6fe4ec8d8f7e15fd",
    "qfloat8_e5m2": "b0d2907c2ed251b7",
    "qfloat8_e4m3fnuz": "3b5dd911ca688e3b",
}


def sha(weight: Tensor) -> str:
    return hashlib.sha256(weight.float().contiguous().numpy().tobytes()).hexdigest()[:16]
