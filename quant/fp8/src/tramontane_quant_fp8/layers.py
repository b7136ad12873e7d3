"""FP8 as Hugging Face has it: 8-bit floats and a scale per block, row or matrix.

weight = number * scale, rounded once. `weight_scale_inv` multiplies, in spite of its name. Shapes:
weight (rows, columns) float8, weight_scale_inv (ceil(rows / 128), ceil(columns / 128)), (rows, 1)
or a single number; experts may be stacked, (experts, rows, columns) with scales of as many
dimensions. DeepSeek-V4's experts are int8 (rows, columns / 2): two floats of 4 bits in a byte, the
first in its low half, with a scale for 32 columns. Scales of 8 bits are powers of two:
2^(byte - 127).

Scales of activations are read and not used: products are computed with the activations as they are,
which is closer to the model before it was quantized.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, Dense, Layout, float_table
from tramontane.layouts.block_scales import NARROW, block_scales

from .settings import block_size

WEIGHTS = ("weight", "")
SCALES = ("weight_scale_inv", "scale_inv", "weight_scale", "scale", "qscale_weight")
UNUSED = ("input_scale", "activation_scale", "input_scale_ub", "qscale_act")
"""Scales of activations: of static quantization, or bounds of dynamic scales."""
EIGHT = {torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2"}


def translate(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str = "the layer"
) -> Layout:
    """A layer's matrix (rows, columns), or those of stacked experts below each other. Raises
    CheckpointError."""
    weight, scale = one_of(WEIGHTS, tensors, path), one_of(SCALES, tensors, path)
    for name in UNUSED:
        tensors.get(name)
    return scaled(weight, scale, block_size(config, path), path)


def one_of(names: tuple[str, ...], tensors: Mapping[str, Tensor], path: str) -> Tensor:
    """The one tensor of these names. Raises CheckpointError."""
    found = [name for name in names if name in tensors]
    if len(found) != 1:
        those = ", ".join(sorted(tensors)) or "none"
        what = f"both {' and '.join(found)}" if found else f"no {names[0]}"
        raise CheckpointError(f"{path}: {what} among its tensors: {those}")
    return tensors[found[0]]


def scaled(weight: Tensor, scale: Tensor, block: tuple[int, int] | None, path: str) -> Layout:
    """Numbers times scales. weight: (..., rows, columns), scale: see above -> (all rows, columns).
    Raises CheckpointError."""
    if weight.ndim < 2 or not weight.numel():
        raise CheckpointError(f"{path}: its weight is {tuple(weight.shape)}, which is no matrix")
    if weight.dtype in EIGHT:
        bits, table, columns = 8, EIGHT[weight.dtype], weight.shape[-1]
    elif weight.dtype in (torch.int8, torch.uint8):
        bits, table, columns = 4, "e2m1", weight.shape[-1] * 2
    else:
        raise CheckpointError(
            f"{path}: its weight is {name_of(weight)}, but it has scales; only 8-bit floats, and "
            "4-bit floats in bytes, have them"
        )
    scale = powers(scale)
    if not scale.is_floating_point():
        raise CheckpointError(f"{path}: its scales are {name_of(scale)}, not floats")
    shape = (*weight.shape[:-1], columns)
    found = block_scales(shape, scale.shape, block)
    if found is None:
        sizes = f" in blocks of {block[0]} x {block[1]}" if block else ""
        raise CheckpointError(
            f"{path}: scales of {tuple(scale.shape)} do not belong to weights of {shape}{sizes}"
        )
    blocks, view = found
    rows = weight.flatten(0, -2).contiguous().view(torch.uint8)
    spread = blocks.spread(scale.reshape(view).expand(*weight.shape[:-2], -1, -1))
    layout = Codebook(bits, blocks.group, (rows,), float_table(table), spread)
    return layout if blocks.group >= NARROW else Dense(layout.decode())


def powers(scale: Tensor) -> Tensor:
    """Bytes as the powers of two that they mean; other scales as they are."""
    return scale.view(torch.float8_e8m0fnu) if scale.dtype == torch.uint8 else scale


def name_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
