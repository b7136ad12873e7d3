"""Codes in words, as most formats pack them: a stream of bits, the lowest bit of a code first."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def stream(codes: Tensor, bits: int) -> Tensor:
    """(rows, count) -> (rows, count * bits / 8 rounded up) uint8."""
    each = (codes.long().numpy()[..., None] >> np.arange(bits)) & 1
    flat = each.reshape(len(codes), -1).astype(np.uint8)
    return torch.from_numpy(np.packbits(flat, axis=1, bitorder="little"))


def words(codes: Tensor, bits: int) -> Tensor:
    """(rows, count) -> (rows, words) int32, the last filled up with zeros."""
    raw = stream(codes, bits)
    return torch.nn.functional.pad(raw, (0, -raw.shape[1] % 4)).contiguous().view(torch.int32)


def ordered(path: str, group_of: Tensor) -> Tensor:
    """The groups of columns in an order of the layer's own, as calibrating gives it: the same for
    layers with the same inputs, such as an expert's gate and up."""
    parent, _, name = path.rpartition(".")
    last = name in ("o_proj", "down_proj", "w2")
    random = torch.Generator().manual_seed(sum(map(ord, parent)) + last)
    return group_of[torch.randperm(len(group_of), generator=random)]


def width(bits: float) -> str:
    """In words."""
    return "1 bit" if bits == 1 else f"{bits} bits"


def any_codes(shape: tuple[int, ...] | torch.Size, bits: int) -> Tensor:
    return torch.randint(0, 1 << bits, tuple(shape))


def scales(*shape: int, bits: int) -> Tensor:
    """Steps between codes of so many bits, for weights of the size that a trained matrix has."""
    return (torch.rand(shape) + 0.5) * 0.3 / (1 << bits)


def spread(values: Tensor, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """A number for each group of rows and columns as one for each weight, cut off at the edges."""
    rows, columns = shape
    high, wide = -(-rows // values.shape[0]), -(-columns // values.shape[1])
    each = values.repeat_interleave(high, 0).repeat_interleave(wide, 1)
    return each[:rows, :columns]


E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
"""The numbers of floats of 4 bits."""


def eight(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype = torch.float8_e4m3fn) -> Tensor:
    """Floats of 8 bits, about as large as those that a scale of largest / 448 leaves."""
    return (torch.randn(tuple(shape)) * 100).clamp(-440, 440).to(dtype)


def pairs(codes: Tensor) -> Tensor:
    """Codes of 4 bits (rows, columns), two in a byte, the first in its low half."""
    return (codes[..., ::2] | codes[..., 1::2] << 4).to(torch.uint8)
