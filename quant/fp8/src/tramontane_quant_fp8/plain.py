"""The formats' arithmetic once more, number by number in Python, by their specification."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

SCALES = ("weight_scale_inv", "weight_scale")
FOUR = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def e4m3(byte: int) -> float:
    exponent, fraction = byte >> 3 & 15, byte & 7
    number = fraction / 512 if exponent == 0 else (8 + fraction) / 8 * 2.0 ** (exponent - 7)
    return -number if byte & 128 else number


def fp8(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """weight e4m3 (rows, columns), and scales of blocks, rows or all -> (rows, columns)."""
    codes = tensors["weight"].view(torch.uint8).tolist()
    rows, columns = len(codes), len(codes[0])
    scale = next(tensors[name] for name in SCALES if name in tensors).float()
    if scale.numel() == 1:
        scale = scale.reshape(1, 1)
    height, width = config.get("weight_block_size") or (-(-rows // len(scale)), columns)
    if scale.shape != (-(-rows // height), -(-columns // width)):
        height, width = -(-rows // scale.shape[0]), -(-columns // scale.shape[1])
    weight = torch.empty(rows, columns)
    for row, column in product(range(rows), range(columns)):
        each = scale[row // height, column // width]
        weight[row, column] = each * e4m3(codes[row][column])
    return weight


def modelopt(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """FP8, or NVFP4: weight uint8 (rows, columns / 2), groups of 16 -> (rows, columns)."""
    if "weight_scale_2" not in tensors:
        return fp8(tensors, config)
    raw, scales = tensors["weight"].tolist(), tensors["weight_scale"].view(torch.uint8).tolist()
    weight = torch.empty(len(raw), 2 * len(raw[0]))
    for row, column in product(range(len(raw)), range(weight.shape[1])):
        code = raw[row][column // 2] >> (4 if column % 2 else 0) & 15
        number = -FOUR[code & 7] if code & 8 else FOUR[code]
        each = tensors["weight_scale_2"] * e4m3(scales[row][column // 16])
        weight[row, column] = each * number
    return weight
