"""MXFP4 as gpt-oss has it: 4-bit floats, and a power of two for each 32 columns.

`experts.gate_up_proj_blocks`  uint8 (experts, rows, columns / 32, 16), the first number of a byte
                               in its low half
`experts.gate_up_proj_scales`  uint8 (experts, rows, columns / 32)
weight = e2m1 * 2^(scale - 127)

Rows are output features: gate and up alternate, gate first. The matrices of all experts are one
below the other here, (experts * rows, columns), where the dense tensor of that family is the
transpose of each, (experts, columns, rows).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, float_table

GROUP = 32
PART = re.compile(r"(.+)_(blocks|scales)")


def below_layers(name: str, config: Mapping[str, Any]) -> str:
    """`experts.down_proj_blocks` as `experts.down_proj.blocks`; other names stay."""
    part = PART.fullmatch(name)
    return f"{part[1]}.{part[2]}" if part else name


def translate(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str = "the layer"
) -> Codebook:
    """Matrices of experts below each other, (experts * rows, columns). Raises CheckpointError."""
    if missing := {"blocks", "scales"} - tensors.keys():
        there = ", ".join(sorted(tensors)) or "nothing"
        raise CheckpointError(f"{path}: no {' and no '.join(sorted(missing))}; it has {there}")
    blocks, scales = tensors["blocks"], tensors["scales"]
    for name, tensor in (("blocks", blocks), ("scales", scales)):
        if tensor.dtype != torch.uint8:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(f"{path}: {name} are {kind}, not uint8")
    if blocks.ndim < 3 or blocks.shape[-1] * 2 != GROUP or blocks.shape[:-1] != scales.shape:
        raise CheckpointError(
            f"{path}: blocks {tuple(blocks.shape)} and scales {tuple(scales.shape)} do not belong "
            f"together; blocks are (experts, rows, groups, {GROUP // 2}), scales the same without "
            "the last"
        )
    codes = blocks.flatten(-2).flatten(0, -2)
    scale = scales.flatten(0, -2).view(torch.float8_e8m0fnu)
    return Codebook(4, GROUP, (codes,), float_table("e2m1"), scale)
