"""Bytes that a layer has in memory, where that is not as many as in the file."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo

from .layers import INNER, SCALE, SHIFT
from .settings import PACKED, weights_of


def memory(
    tensors: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
) -> int:
    """As `layers.translate` makes it: codes whose rows do not fill bytes take 8 bits each."""
    held = sum(info.nbytes for info in tensors.values())
    bits = PACKED.get(weights_of(config, path) or "", 4)
    if INNER not in tensors or shape is None or len(shape) != 2:
        return held
    rest = sum(tensors[part].nbytes for part in (SCALE, SHIFT) if part in tensors)
    if shape[1] * bits % 8:
        return prod(shape) + rest
    return held
