"""Keys and values in 8 bits: codes, and what a code is worth for each 32 numbers of a head.

    scale = bfloat16(largest magnitude / 127), code = round(number / scale), number = code * scale

Rounding is to nearest, ties to even. The scale is off by 1 in 257 at most, so the largest code is
127, and a number comes back off by half a scale at most. Numbers among which one is not finite all
come back as NaN; numbers too small for a scale, below 1.5e-36, as 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32
"""Numbers that share a scale; the last of a head may be fewer."""
MOST = 127
LEAST = torch.finfo(torch.float32).tiny
"""A smaller scale has no inverse."""


def groups_of(width: int) -> int:
    """Scales of a head of `width` numbers."""
    return -(-width // GROUP)


def kept_width(width: int, dtype: torch.dtype) -> int:
    """How many of `dtype` a head of `width` numbers takes, scales included."""
    return width if dtype != torch.int8 else width + 2 * groups_of(width)


def quantize(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """(..., width) floats to int8 codes (..., width) and bfloat16 scales (..., groups)."""
    width = numbers.shape[-1]
    spread = F.pad(numbers.float(), (0, -width % GROUP)).unflatten(-1, (-1, GROUP))
    worth = spread.abs().amax(-1) * (1 / MOST)
    scales = torch.where(worth < LEAST, 0, worth).bfloat16()
    told = scales.float()
    inverse = torch.where((told > 0) & told.isfinite(), 1 / told, 0)
    codes = (spread * inverse[..., None]).nan_to_num(0).round()
    return codes.to(torch.int8).flatten(-2)[..., :width], scales


def dequantize(codes: Tensor, scales: Tensor) -> Tensor:
    """The other way round, float32."""
    worth = scales.float().repeat_interleave(GROUP, -1)[..., : codes.shape[-1]]
    return codes.float() * worth


def joined(codes: Tensor, scales: Tensor) -> Tensor:
    """Codes and scales in one int8 tensor, (..., kept_width)."""
    return torch.cat((codes, _dense(scales).view(torch.int8)), -1)


def parted(kept: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The other way round."""
    return kept[..., :width], _dense(kept[..., width:]).view(torch.bfloat16)


def _dense(tensor: Tensor) -> Tensor:
    # `contiguous` leaves dimensions of one as they are, which `view` minds
    return tensor.clone(memory_format=torch.contiguous_format)
