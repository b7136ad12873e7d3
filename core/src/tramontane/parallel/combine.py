"""Results made of every rank's part, for interconnects that only carry bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def add_in_order(x: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """parts: one of each rank, in their order, all like x -> x, now their sum, added in float32."""
    total = parts[0].to(torch.float32, copy=True)
    for part in parts[1:]:
        total += part
    return x.copy_(total)


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """parts: (..., width of each rank) -> (..., sum of widths)."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)


def as_bytes(x: Tensor) -> memoryview:
    """A contiguous tensor's bytes, on the CPU; of one that is there, not a copy."""
    flat = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().data


def from_bytes(data: bytes | bytearray | memoryview, shape: Sequence[int], like: Tensor) -> Tensor:
    """The other way round: of a shape, with the type and the device of `like`; not a copy of what
    can be written to, such as a bytearray.

    Raises ValueError where there are not as many bytes."""
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) != count * like.element_size():
        raise ValueError(f"{len(data)} bytes for {tuple(shape)} of {like.dtype}")
    held = data if not memoryview(data).readonly else bytearray(data)
    flat = torch.frombuffer(held, dtype=torch.uint8) if count else torch.empty(0)
    return flat.view(like.dtype).reshape(tuple(shape)).to(like.device)
