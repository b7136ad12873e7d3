"""Keys and values in 8 bits: int8 codes, and a bfloat16 scale for each 32 numbers of a head.

    scale = bfloat16(largest magnitude / 127), code = round(number / scale), number = code * scale

Rounding is to nearest, ties to even. The scale is off by 1 in 257 at most, so the largest code is
127, and the error of a number is half a scale at most. A group with a number that is not finite is
dequantized to NaN; a group too small for a scale, below 1.5e-36, to 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32
"""Numbers that share a scale; the last group of a head may be smaller."""
LARGEST_CODE = 127
SMALLEST_SCALE = torch.finfo(torch.float32).tiny
"""A smaller scale has no inverse."""


def groups_of(width: int) -> int:
    """Number of scales of a head of `width` numbers."""
    return -(-width // GROUP)


def kept_width(width: int, dtype: torch.dtype) -> int:
    """Stored elements of `dtype` for a head of `width` numbers, scales included."""
    return width if dtype != torch.int8 else width + 2 * groups_of(width)


def quantize(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """(..., width) floats to int8 codes (..., width) and bfloat16 scales (..., groups)."""
    width = numbers.shape[-1]
    grouped = F.pad(numbers.float(), (0, -width % GROUP)).unflatten(-1, (-1, GROUP))
    exact = grouped.abs().amax(-1) * (1 / LARGEST_CODE)
    scales = torch.where(exact < SMALLEST_SCALE, 0, exact).bfloat16()
    rounded = scales.float()
    inverse = torch.where((rounded > 0) & rounded.isfinite(), 1 / rounded, 0)
    codes = (grouped * inverse[..., None]).nan_to_num(0).round()
    return codes.to(torch.int8).flatten(-2)[..., :width], scales


def dequantize(codes: Tensor, scales: Tensor) -> Tensor:
    """Inverse of `quantize`: (..., width) float32."""
    factors = scales.float().repeat_interleave(GROUP, -1)[..., : codes.shape[-1]]
    return codes.float() * factors


def joined(codes: Tensor, scales: Tensor) -> Tensor:
    """Codes and scales concatenated in one int8 tensor, (..., kept_width)."""
    return torch.cat((codes, _dense(scales).view(torch.int8)), -1)


def parted(stored: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Inverse of `joined`: codes (..., width) int8 and scales (..., groups) bfloat16."""
    return stored[..., :width], _dense(stored[..., width:]).view(torch.bfloat16)


def _dense(tensor: Tensor) -> Tensor:
    # `contiguous` may keep odd strides of dimensions of size 1, which `view` rejects
    return tensor.clone(memory_format=torch.contiguous_format)
