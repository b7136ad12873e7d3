"""The same arithmetic written plainly, symbol by symbol, for the conformance kit."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def decode(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """A layer's weights, (rows, columns) float32, computed in float64."""
    trellis = tensors["trellis"]
    down, across, count = trellis.shape
    weight = torch.empty(16 * down, 16 * across, dtype=torch.float64)
    for i in range(down):
        for k in range(across):
            tile = _tile(trellis[i, k].tolist(), count // 16, tensors)
            weight[16 * i : 16 * i + 16, 16 * k : 16 * k + 16] = tile
    weight = tensors["suh"].double()[:, None] * _turned(weight)
    return (_turned(weight.T).T * tensors["svh"].double()).T.float()


def _tile(words: list[int], bits: int, tensors: Mapping[str, Tensor]) -> Tensor:
    stream = ""
    for first, second in zip(words[::2], words[1::2], strict=True):
        stream += f"{second & 0xFFFF:016b}{first & 0xFFFF:016b}"
    ring, tile = stream + stream, torch.empty(16, 16, dtype=torch.float64)
    for symbol in range(256):
        end = len(stream) + (symbol + 1) * bits
        t, j = divmod(symbol, 8)
        row = 2 * (t % 4) + (0, 1, 8, 9, 0, 1, 8, 9)[j]
        tile[row, t // 4 + (8 if j > 3 else 0)] = _number(int(ring[:end][-16:], 2), tensors)
    return tile


def _number(state: int, tensors: Mapping[str, Tensor]) -> float:
    if "mul1" in tensors:
        x = state * 0x83DCD12D % 2**32
        total = _half(0x6400 + sum(x.to_bytes(4, "little")))
        return float(torch.tensor(total) * _half(0x1EEE) + _half(0xC931))
    x = state * 0xCBAC1FED if "mcg" in tensors else state * 89226354 + 64248484
    x = (x % 2**32 & 0x8FFF8FFF) ^ 0x3B603B60
    return _half(x % 2**16) + _half(x >> 16)


def _half(bits: int) -> float:
    value: float = struct.unpack("<e", struct.pack("<H", bits))[0]
    return value


def _turned(matrix: Tensor) -> Tensor:
    """Walsh and Hadamard's transform of each 128 rows: sums and differences, seven times."""
    rows, columns = matrix.shape
    blocks = matrix.clone().view(-1, 128, columns)
    step = 1
    while step < 128:
        pairs = blocks.view(-1, 128 // (2 * step), 2, step, columns)
        one, other = pairs[:, :, 0].clone(), pairs[:, :, 1].clone()
        pairs[:, :, 0], pairs[:, :, 1] = one + other, one - other
        step *= 2
    turned: Tensor = blocks.view(rows, columns) / 128**0.5
    return turned
