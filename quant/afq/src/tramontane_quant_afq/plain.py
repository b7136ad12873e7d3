"""The same arithmetic written plainly, number by number, for the conformance kit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def decode(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """A layer's weights, (rows, columns) float32, of a configuration without single layers."""
    mode, bits = config.get("mode", "affine"), config["bits"]
    scales = tensors["scales"]
    group = tensors["weight"].shape[-1] * 32 // bits // scales.shape[-1]
    made = []
    for row, words in enumerate(tensors["weight"].tolist()):
        stream = sum(word << (32 * place) for place, word in enumerate(words))
        numbers = []
        for column in range(len(words) * 32 // bits):
            code, at = (stream >> (bits * column)) & ((1 << bits) - 1), (row, column // group)
            if mode == "affine":
                product = (scales[at] * code).to(scales.dtype)
                numbers.append(float(product + tensors["biases"][at]))
            else:
                numbers.append(_float(code, bits) * _scale(int(scales[at]), mode))
        made.append(numbers)
    return torch.tensor(made)


def _scale(code: int, mode: str) -> float:
    return _float(code, 8) if mode == "nvfp4" else math.ldexp(1.0, code - 127)


def _float(code: int, bits: int) -> float:
    """E2M1 or E4M3: a sign, two or four bits of exponent, one or three of fraction."""
    exponent, fraction, bias = (2, 1, 1) if bits == 4 else (4, 3, 7)
    sign = -1 if code >> (bits - 1) else 1
    power = (code >> fraction) % (1 << exponent)
    rest = (code % (1 << fraction)) / (1 << fraction)
    value = math.ldexp(1 + rest, power - bias) if power else math.ldexp(rest, 1 - bias)
    return sign * value
