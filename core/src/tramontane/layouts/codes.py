"""Codes of a few bits, packed into planes of bytes, and the numbers that they are scaled by."""

from __future__ import annotations

import torch
from torch import Tensor

from tramontane.bit_planes import PLANES as PLANES


def unpack(planes: tuple[Tensor, ...], widths: tuple[int, ...]) -> Tensor:
    """Unpack bit planes, (rows, columns * width / 8) uint8 each, to codes (rows, columns) int16."""
    codes: Tensor | None = None
    shift = 0
    for plane, width in zip(planes, widths, strict=True):
        steps = torch.arange(0, 8, width, dtype=torch.uint8, device=plane.device)
        part = (plane[..., None] >> steps) & ((1 << width) - 1)
        part = part.flatten(-2).to(torch.int16) << shift
        codes = part if codes is None else codes | part
        shift += width
    assert codes is not None
    return codes


def pack(codes: Tensor, bits: int) -> tuple[Tensor, ...]:
    """Pack unsigned codes (rows, columns) into planes of PLANES[bits] bits, (rows, columns * width
    / 8) uint8 each; columns must fill whole bytes of each."""
    planes, columns = [], codes.shape[-1]
    codes = torch.nn.functional.pad(codes.to(torch.int16), (0, -columns % 8))
    for width in PLANES[bits]:
        part = (codes & ((1 << width) - 1)).unflatten(-1, (-1, 8 // width))
        shifts = torch.arange(0, 8, width, dtype=torch.int16, device=codes.device)
        planes.append((part << shifts).sum(-1).to(torch.uint8)[..., : columns * width // 8])
        codes = codes >> width
    return tuple(planes)


def two_level(value: Tensor, above: Tensor | None) -> Tensor:
    """Scales or minimums in float32. value: (rows, groups), above: (rows, super_groups) factors or
    None -> (rows, groups)."""
    return value.float() if above is None else value.float() * spread(above, value.shape[1])


def spread(above: Tensor, groups: int) -> Tensor:
    """Numbers (rows, super_groups) repeated for the groups in each, (rows, groups), in float32."""
    return above.float().repeat_interleave(groups // above.shape[1], 1)


def rounded_to(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A float32 result (rows, groups, group), as of a library that computes in `dtype`. None:
    float32, as it is."""
    return value if dtype is None else value.to(dtype).float()
