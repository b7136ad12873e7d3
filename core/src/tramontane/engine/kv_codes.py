"""Keys and values in 8 or 4 bits: codes, and a bfloat16 scale for each 32 numbers of a head.

    8 bits   scale = bfloat16(largest magnitude / 127)    code = round(number / scale)
    4 bits   scale = bfloat16(largest number / -8)        the same, at most 7
    number = code * scale

In 4 bits the number with the largest magnitude, with its sign, is code -8. Rounding is to nearest,
ties to even. The scale is off by 1 in 257 at most, so the largest 8-bit code is 127; the error of a
number is half a scale at most, and a whole one for a 4-bit number that would be code 8. A group
with a number that is not finite is dequantized to NaN; one too small for a scale, below 1.5e-36, to
0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32
"""Numbers that share a scale; the last group of a head may be smaller."""
SMALLEST_SCALE = torch.finfo(torch.float32).tiny
"""A smaller scale has no inverse."""


@dataclass(frozen=True)
class Codes:
    """One way of quantizing heads. unit: codes of a key that are stored together per token, 4 bytes
    of them. dtype: of what is stored."""

    bits: int
    unit: int
    dtype: torch.dtype

    def kept_width(self, width: int) -> int:
        """Bytes of a head of `width` numbers, scales included."""
        codes = width if self.bits == 8 else groups_of(width) * GROUP // 2
        return codes + 2 * groups_of(width)

    def key_units(self, width: int) -> int:
        """Units of a key of `width` numbers."""
        return -(-width // self.unit)

    def quantize(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """(..., width) floats to int8 codes (..., width) and bfloat16 scales (..., groups)."""
        width = numbers.shape[-1]
        grouped = F.pad(numbers.float(), (0, -width % GROUP)).unflatten(-1, (-1, GROUP))
        exact = grouped.abs().amax(-1)
        if self.bits == 4:
            exact = torch.where(grouped.amax(-1) == exact, exact * (-1 / 8), exact * (1 / 8))
        else:
            exact = exact * (1 / 127)
        scales = torch.where(exact.abs() < SMALLEST_SCALE, 0, exact).bfloat16()
        rounded = scales.float()
        inverse = torch.where((rounded != 0) & rounded.isfinite(), 1 / rounded, 0)
        codes = (grouped * inverse[..., None]).nan_to_num(0).round()
        if self.bits == 4:
            codes = codes.clamp(-8, 7)
        return codes.to(torch.int8).flatten(-2)[..., :width], scales

    def joined(self, codes: Tensor, scales: Tensor) -> Tensor:
        """Codes and scales as they are stored, in one tensor (..., kept_width)."""
        stored = codes if self.bits == 8 else packed(codes)
        return torch.cat((stored, _dense(scales).view(self.dtype)), -1)

    def parted(self, stored: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Inverse of `joined`: codes (..., width) int8 and scales (..., groups) bfloat16."""
        codes, scales = stored.split(
            (stored.shape[-1] - 2 * groups_of(width), 2 * groups_of(width)), -1
        )
        codes = codes if self.bits == 8 else unpacked(codes)[..., :width]
        return codes, _dense(scales).view(torch.bfloat16)


INT4: torch.dtype = torch.uint4  # type: ignore[attr-defined] # torch's types lack it
"""The name of 4-bit codes; no tensor has this dtype."""
CODES = {torch.int8: Codes(8, 4, torch.int8), INT4: Codes(4, 8, torch.uint8)}
"""By the type that a cache is asked for."""


def groups_of(width: int) -> int:
    """Number of scales of a head of `width` numbers."""
    return -(-width // GROUP)


def dequantize(codes: Tensor, scales: Tensor) -> Tensor:
    """Codes (..., width) times their scales (..., groups) -> (..., width) float32."""
    factors = scales.float().repeat_interleave(GROUP, -1)[..., : codes.shape[-1]]
    return codes.float() * factors


def packed(codes: Tensor) -> Tensor:
    """4-bit codes (..., width) as bytes (..., 16 * groups): in the low half of a byte a number of
    its group's first 16, in the high half one of the others, both plus 8."""
    shifted = F.pad(codes, (0, -codes.shape[-1] % GROUP)).add(8).to(torch.uint8)
    halves = shifted.unflatten(-1, (-1, 2, GROUP // 2))
    joined: Tensor = halves[..., 0, :] | halves[..., 1, :] << 4
    return joined.flatten(-2)


def unpacked(stored: Tensor) -> Tensor:
    """Inverse of `packed`: int8 codes (..., 32 * groups)."""
    grouped = stored.unflatten(-1, (-1, 1, GROUP // 2))
    halves = torch.cat((grouped & 15, grouped >> 4), -2)
    return halves.to(torch.int8).sub(8).flatten(-3)


def _dense(tensor: Tensor) -> Tensor:
    # `contiguous` may keep odd strides of dimensions of size 1, which `view` rejects
    return tensor.clone(memory_format=torch.contiguous_format)
