"""What a layer takes in memory, told from its header."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo

from .layers import LEAST

TABLE = 64


def memory(
    tensors: Mapping[str, TensorInfo],
    config: dict[str, Any],
    path: str,
    shape: tuple[int, ...],
    transposed: bool = False,
) -> int:
    """Bytes of the layout that `translate` makes: scales are float32 each, and a matrix whose rows
    and blocks do not meet is dense."""
    count = prod(shape)
    if "SCB" in tensors:
        return 4 * count if transposed else count + 4 * shape[0]
    if "weight.absmax" not in tensors:
        return sum(info.nbytes for info in tensors.values())
    # the header has the number of blocks, not their size
    blocks, block = prod(tensors["weight.absmax"].shape), 1
    while -(-count // block) > blocks:
        block *= 2
    group = gcd(shape[1], block)
    if transposed or group % LEAST:
        return 4 * count
    return count // 2 + 4 * (count // group) + TABLE
