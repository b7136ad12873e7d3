"""The formats' arithmetic once more, number by number in Python, by their specification.

The strategy is read from the shapes: which scale belongs to a weight is its row and column divided
by how many of them have one. Codes come from Python's integers, a row's words in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor


def small_float(code: int, exponents: int, fractions: int) -> float:
    """A code of a float without infinities."""
    sign = -1.0 if code >> (exponents + fractions) & 1 else 1.0
    exponent = code >> fractions & (1 << exponents) - 1
    fraction = code & (1 << fractions) - 1
    bias = (1 << (exponents - 1)) - 1
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias - fractions)
    return sign * ((1 << fractions) + fraction) * 2.0 ** (exponent - bias - fractions)


def codes_of(row: Tensor, bits: int, count: int) -> list[int]:
    """A stream of codes from the lowest bit of the first byte."""
    whole = int.from_bytes(row.contiguous().numpy().tobytes(), "little")
    return [whole >> i * bits & (1 << bits) - 1 for i in range(count)]


def decode(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """A layer's matrix, (rows, columns) in float32."""
    (group,) = config["config_groups"].values()
    bits, form = group["weights"]["num_bits"], group["format"]
    packed = tensors.get("weight_packed")
    zeros: dict[tuple[int, int], int] = {}
    if packed is None:
        codes = tensors["weight"].view(torch.uint8).tolist()
    else:
        columns = packed.shape[1] * packed.element_size() * 8 // bits
        if "weight_shape" in tensors:
            columns = int(tensors["weight_shape"][1])
        codes = [codes_of(row, bits, columns) for row in packed]
    rows, columns = len(codes), len(codes[0])
    scale = tensors["weight_scale"]
    if scale.dtype == torch.uint8:
        scale = torch.ldexp(torch.ones(scale.shape), scale.int() - 127)
    if "weight_global_scale" in tensors:
        scale = scale.float() / tensors["weight_global_scale"]
    if "weight_zero_point" in tensors:
        for group_number, column in enumerate(tensors["weight_zero_point"].T):
            for row, zero in enumerate(codes_of(column, bits, rows)):
                zeros[row, group_number] = zero
    high, wide = -(-rows // scale.shape[0]), -(-columns // scale.shape[1])
    weight = torch.empty(rows, columns)
    for row, column in product(range(rows), range(columns)):
        code, place = codes[row][column], (row // high, column // wide)
        if form == "pack-quantized":
            number: float = code - zeros.get((row, place[1]), 1 << (bits - 1))
        elif group["weights"]["type"] == "int":
            number = code - 256 if code > 127 else code
        else:
            number = small_float(code, *{4: (2, 1), 6: (2, 3), 8: (4, 3)}[bits])
        weight[row, column] = scale[place].float() * number
    return weight
