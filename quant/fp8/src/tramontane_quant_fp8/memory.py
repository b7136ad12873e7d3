"""Bytes that layers have in memory: scales of blocks are repeated for their rows."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.layouts.block_scales import NARROW, block_scales

from .layers import SCALES, WEIGHTS
from .settings import block_size

BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F64": 8}


def fp8(
    tensors: Mapping[str, TensorInfo], config: Mapping[str, Any], path: str = "the layer"
) -> int:
    """As `layers.translate` makes it; what it would refuse counts as in the file."""
    weight = next((tensors[name] for name in WEIGHTS if name in tensors), None)
    scale = next((tensors[name] for name in SCALES if name in tensors), None)
    whole = sum(info.nbytes for info in tensors.values())
    if weight is None or scale is None or len(weight.shape) < 2:
        return whole
    packed = weight.stored in ("I8", "U8")
    shape = (*weight.shape[:-1], weight.shape[-1] * 2 if packed else weight.shape[-1])
    found = block_scales(shape, scale.shape, block_size(config, path))
    if found is None:
        return whole
    group = found[0].group
    if group < NARROW:
        return 4 * prod(shape)
    return weight.nbytes + prod(shape) // group * BYTES.get(scale.stored, 1)


def modelopt(
    tensors: Mapping[str, TensorInfo], config: Mapping[str, Any], path: str = "the layer"
) -> int:
    """As `modelopt.translate` makes it."""
    if "weight_scale_2" not in tensors and "scale_2" not in tensors:
        return fp8(tensors, {}, path)
    rows = max((prod(info.shape[:-1]) for info in tensors.values()), default=0)
    return sum(info.nbytes for info in tensors.values()) + 4 * rows
