"""One layer's tensors to a layout.

    weight  uint32 (rows, columns * bits / 32)   codes, a stream of bits, the lowest first
    scales           (rows, columns / group)     float; uint8 in the floating modes
    biases           (rows, columns / group)     affine only; `metal` calls them qbiases

    affine        weight = scale * code + bias, rounded to the scales' type after each of both
    mxfp4, mxfp8  weight = 2^(scale - 127) * number, of 4 bits (E2M1) or 8 bits (E4M3)
    nvfp4         weight = scale * number, scale E4M3, number E2M1

Experts are (experts, rows, columns), one below the other here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook

from .bit_stream import STORED_AS, planes
from .settings import Kind, kind_of

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
SCALES = {
    "mxfp4": torch.float8_e8m0fnu, "mxfp8": torch.float8_e8m0fnu, "nvfp4": torch.float8_e4m3fn,
}  # fmt: skip


def translate(
    tensors: dict[str, Tensor],
    config: Mapping[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
) -> Affine | Codebook | None:
    """The layout of a layer, or None for one that is dense. Raises CheckpointError."""
    kind = kind_of(config, path)
    if kind is None or ("scales" not in tensors and _is_float(tensors.get("weight"))):
        if "scales" in tensors:
            raise CheckpointError(f"{path}: the quantization says false, but it has scales")
        return None
    metal = config.get("quant_method") == "metal"
    offset = ("qbiases" if metal else "biases",) if kind.mode == "affine" else ()
    if missing := {"weight", "scales", *offset} - tensors.keys():
        raise CheckpointError(f"{path}: {' and '.join(sorted(missing))} missing")
    words, scale = tensors["weight"], tensors["scales"]
    if words.dtype != torch.uint32 or words.ndim < 2:
        held = f"{str(words.dtype).removeprefix('torch.')} {tuple(words.shape)}"
        raise CheckpointError(f"{path}: weight must be uint32 (rows, words), not {held}")
    raw = words.flatten(0, -2).contiguous().view(torch.uint8)
    columns = _columns(raw, kind, path, shape)
    groups = (*words.shape[:-1], columns // kind.group)
    if tuple(scale.shape) != groups:
        raise CheckpointError(
            f"{path}: scales are {tuple(scale.shape)}; {columns} columns in groups of "
            f"{kind.group} need {groups}"
        )
    if not offset:
        return _floats(raw, scale.flatten(0, -2), kind, path)
    minimum = tensors[offset[0]]
    if minimum.shape != scale.shape or minimum.dtype != scale.dtype or not _is_float(scale):
        raise CheckpointError(
            f"{path}: scales {scale.dtype} {tuple(scale.shape)} and {offset[0]} {minimum.dtype} "
            f"{tuple(minimum.shape)} must be floats of one type and shape"
        )
    return Affine(
        STORED_AS.get(kind.bits, kind.bits),
        kind.group,
        planes(raw, kind.bits),
        scale.flatten(0, -2),
        minimum=minimum.flatten(0, -2),
        # transformers computes in float32
        rounded=None if metal or scale.dtype == torch.float32 else scale.dtype,
    )


def _columns(raw: Tensor, kind: Kind, path: str, shape: tuple[int, ...] | None) -> int:
    columns = raw.shape[1] * 8 // kind.bits
    if shape is not None and columns != shape[1]:
        raise CheckpointError(
            f"{path}: {raw.shape[1] // 4} words of 32 bits in a row are {columns} columns of "
            f"{kind.bits} bits, the model wants {shape[1]}; `quantization` must say the bits of "
            "each layer that differs, under its path"
        )
    if not columns or columns % kind.group or columns % 8 or raw.shape[1] * 8 % kind.bits:
        raise CheckpointError(
            f"{path}: {columns} columns of {kind.bits} bits are no multiple of its group of "
            f"{kind.group}"
        )
    return columns


def _floats(raw: Tensor, scale: Tensor, kind: Kind, path: str) -> Codebook:
    if scale.dtype != torch.uint8:
        raise CheckpointError(f"{path}: {kind.mode} has scales in uint8, not {scale.dtype}")
    if kind.bits == 8:
        table = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    else:
        table = torch.tensor([*E2M1, *(-number for number in E2M1)])
    return Codebook(kind.bits, kind.group, (raw,), table, scale.view(SCALES[kind.mode]))


def memory(
    tensors: dict[str, TensorInfo], config: Mapping[str, Any], path: str = "the layer"
) -> int:
    """Bytes of a layer in memory: those of the file, but codes of 1 bit take 2."""
    kind = kind_of(config, path)
    size = sum(info.nbytes for info in tensors.values())
    if kind is None or kind.bits not in STORED_AS or "weight" not in tensors:
        return size
    return size + 4 * prod(tensors["weight"].shape) * (STORED_AS[kind.bits] - kind.bits)


def _is_float(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.is_floating_point()
