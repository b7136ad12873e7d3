"""Bytes that a layer has in memory, where that is not as many as in the file."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.layouts.block_scales import NARROW

from .floats import PACKED
from .integers import HELD
from .scales import lying
from .scheme import Scheme, scheme_of

BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}


def memory(
    tensors: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
) -> int:
    """As `layers.translate` makes it; what it would refuse counts as in the file."""
    held = sum(info.nbytes for info in tensors.values())
    scale = tensors.get("weight_scale")
    codes = tensors.get("weight_packed") or tensors.get("weight")
    if scale is None or codes is None or shape is None or len(shape) != 2 or len(codes.shape) != 2:
        return held
    scheme, (rows, columns) = scheme_of(config, path), shape
    found = lying(scheme, rows, columns, scale.shape)
    if found is None:
        return held
    group, size = found[0].group, BYTES.get(scale.stored, 1)
    bits = _bits(scheme)
    if group < NARROW or columns * bits % 8:
        return rows * columns * (4 if scheme.floats else size)
    zeros = 0 if scheme.symmetric else 1
    order = columns * 4 if "weight_g_idx" in tensors else 0
    above = 4 * rows if "weight_global_scale" in tensors else 0
    groups = prod(shape) // group
    return prod(shape) * bits // 8 + groups * (size + zeros) + order + above


def _bits(scheme: Scheme) -> int:
    if scheme.format == "pack-quantized":
        return HELD.get(scheme.bits, scheme.bits)
    return PACKED.get(scheme.format, 8)
