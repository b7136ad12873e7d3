"""What a layer takes in memory, told from its header."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.layouts import PLANES

from .settings import FAST, settings_of


def memory(
    tensors: Mapping[str, TensorInfo],
    config: dict[str, Any],
    path: str,
    shape: tuple[int, ...],
    transposed: bool = False,
) -> int:
    """Bytes of the layout that `translate` makes: zeros take a byte each, codes of 7 bits 8.
    Raises CheckpointError."""
    if "qweight" not in tensors or "scales" not in tensors:
        return sum(info.nbytes for info in tensors.values())
    settings, scales = settings_of(config), tensors["scales"]
    size = scales.nbytes // max(1, prod(scales.shape))
    if transposed:
        return prod(shape) * size
    codes = prod(shape) * sum(PLANES[8 if settings.bits == 7 else settings.bits]) // 8
    groups = shape[0] * (1 if settings.group == -1 else -(-shape[1] // settings.group))
    zeros = size if settings.form in FAST else 0 if settings.symmetric else 1
    return codes + groups * (size + zeros)
