"""Keys and values as 8-bit floats: a byte a number, with one scale, 1, for all.

A number beyond the largest becomes the largest; one that is not finite becomes NaN in e4m3, which
has no infinity. torch's conversions saturate or not depending on type and version.
"""

from __future__ import annotations

import torch
from torch import Tensor

FLOATS8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def encode(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats rounded to nearest, ties to even, as bytes: uint8 of the same shape."""
    largest = torch.finfo(dtype).max
    numbers = numbers.float()
    kept = numbers.clamp(-largest, largest)
    odd = float("nan") if dtype == torch.float8_e4m3fn else numbers
    kept = torch.where(numbers.isfinite(), kept, odd)
    return kept.to(dtype).view(torch.uint8)


def decode(stored: Tensor, dtype: torch.dtype) -> Tensor:
    """Inverse of `encode`, in float32."""
    return stored.contiguous().view(dtype).float()
