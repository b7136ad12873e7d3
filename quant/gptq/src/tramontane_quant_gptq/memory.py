"""What a layer takes in memory, told from its header."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.layouts import PLANES

from .groups import LEAST
from .settings import dtype_of, settings_of

SIZES = {"float16": 2, "bfloat16": 2, "float32": 4}
STORED = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}


def memory(
    tensors: Mapping[str, TensorInfo],
    config: dict[str, Any],
    path: str,
    shape: tuple[int, ...],
    transposed: bool = False,
    model: Mapping[str, Any] | None = None,
) -> int:
    """Bytes of the layout that `translate` makes: codes of 7 bits take 8, zeros a byte each, and
    what has columns in another order names them. Raises CheckpointError."""
    if "qweight" not in tensors or "scales" not in tensors:
        return sum(info.nbytes for info in tensors.values())
    settings, scales = settings_of(config, path), tensors["scales"]
    stored = STORED.get(scales.stored.upper(), scales.stored)
    size = SIZES.get(dtype_of(model, stored), 4)
    columns = shape[1]
    group = gcd(columns, columns if settings.group == -1 else settings.group)
    if transposed or group % LEAST:
        return prod(shape) * size
    groups = shape[0] * columns // group
    codes = prod(shape) * sum(PLANES[8 if settings.bits == 7 else settings.bits]) // 8
    zeros = 0 if settings.symmetric is not False else groups
    order = 4 * columns if settings.act_order else 0
    return codes + groups * size + zeros + order
