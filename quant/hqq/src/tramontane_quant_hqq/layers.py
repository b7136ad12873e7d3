"""A layer's tensors in safetensors, as hqq's `state_dict` has them and transformers 4 saved them.

W_q, scale, zero                      packed codes, numbers of each group
shape                                 int64 [rows, columns]
nbits, group_size, axis               a number each
packing, compute_dtype                letters in uint8: "4bit_u8", "torch.float16"
view_as_float                         whether W_q is stored as if it were floats
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Layout
from tramontane.sanitize import one_line

from .matrix import Matrix, arrangement
from .packing import PACKINGS, WORDS

NEEDED = ("W_q", "scale", "zero", "shape", "nbits", "group_size", "axis", "packing")
WITHOUT_EFFECT = (
    "unpack_view_dtype", "offload_meta", "encoded_state_dict", "stores_quant_config",
    "channel_wise", "optimize", "round_zero",
)  # fmt: skip
"""Said by others, or of how it was quantized."""
DTYPES = {f"torch.{name}": getattr(torch, name) for name in ("float16", "bfloat16", "float32")}


def translate(
    tensors: dict[str, Tensor],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
) -> Layout | None:
    """The layout of a layer, or None for one that is dense. Raises CheckpointError."""
    if "W_q" not in tensors and "weight" in tensors:
        return None
    if missing := set(NEEDED) - tensors.keys():
        raise CheckpointError(f"{path}: {' and '.join(sorted(missing))} missing")
    for name in WITHOUT_EFFECT:
        tensors.get(name)
    for name in ("quant_scale", "quant_zero"):
        if (flag := tensors.get(name)) is not None and number(flag, name, path):
            raise CheckpointError(f"{path}: {name} is set; in safetensors hqq cannot store that")
    scale = tensors["scale"]
    dtype = tensors.get("compute_dtype")
    stored = tuple(int(size) for size in tensors["shape"].flatten().tolist())
    if len(stored) != 2 or min(stored) <= 0:
        raise CheckpointError(f"{path}: shape says {stored}, not rows and columns")
    packing = letters(tensors["packing"], "packing", path)
    group = int(number(tensors["group_size"], "group_size", path))
    words = tensors["W_q"]
    flag = tensors.get("view_as_float")
    if flag is not None and number(flag, "view_as_float", path) and packing in WORDS:
        words = words.view(WORDS[packing][0])
    return Matrix(
        path=path,
        shape=stored,
        words=words,
        scale=scale,
        zero=tensors["zero"],
        bits=bits_of(number(tensors["nbits"], "nbits", path)),
        group=whole_or(group, scale, stored),
        axis=int(number(tensors["axis"], "axis", path)),
        packing=packing,
        dtype=scale.dtype if dtype is None else dtype_named(letters(dtype, "compute_dtype", path),
                                                            path),
    ).layout()  # fmt: skip


def whole_or(group: int, scale: Tensor, shape: tuple[int, ...]) -> int:
    """The group's size, or 0 where there is one for the whole matrix."""
    return 0 if scale.numel() == 1 and group != prod(shape) else group


def bits_of(value: float) -> float:
    """1.58 is stored in float32."""
    return next((bits for bits in PACKINGS if abs(bits - value) < 1e-4), value)


def number(tensor: Tensor, name: str, path: str) -> float:
    """Raises CheckpointError for several."""
    if tensor.numel() != 1:
        raise CheckpointError(f"{path}: {name} is {tuple(tensor.shape)}, not one number")
    return float(tensor.item())


def letters(tensor: Tensor, name: str, path: str) -> str:
    """Raises CheckpointError for what is no text."""
    if tensor.dtype != torch.uint8 or tensor.ndim != 1 or len(tensor) > 64:
        raise CheckpointError(
            f"{path}: {name} is {tensor.dtype} {tuple(tensor.shape)}, not letters"
        )
    return bytes(tensor.tolist()).decode("latin-1")


def dtype_named(name: str, path: str) -> torch.dtype:
    """Raises CheckpointError."""
    if name not in DTYPES:
        raise CheckpointError(
            f"{path}: compute_dtype={one_line(repr(name), 60)} is none of {', '.join(DTYPES)}"
        )
    found: torch.dtype = DTYPES[name]
    return found


def memory(
    tensors: dict[str, TensorInfo],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] = (),
) -> int:
    """Bytes of a layer in memory, at most: before values are read, 5 and 6 bits count as 8."""
    size = sum(info.nbytes for info in tensors.values())
    if not {"W_q", "scale"} <= tensors.keys() or len(shape) != 2 or not prod(shape):
        return size
    scale, count = tensors["scale"], prod(shape)
    groups = prod(scale.shape) or 1
    axis = 0 if len(scale.shape) == 2 and scale.shape[0] == 1 else 1
    how = arrangement(shape, 0 if groups == 1 else count // groups, axis)
    each = scale.nbytes // groups
    if how == "dense":
        return count * each
    bits = 8 * tensors["W_q"].nbytes / count
    numbers = max(groups, shape[0] if how == "rows" else shape[1])
    return round(count * max(2.0, bits) / 8) + 2 * each * numbers
