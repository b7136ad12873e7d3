"""torchao's arithmetic written plainly, number by number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

FOUR = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def decode(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str, metadata: Mapping[str, str]
) -> Tensor:
    """A matrix of one of the kinds that the sample has, (rows, columns) float32."""
    said = json.loads(metadata[f"{path}.weight"])
    values, kind = said["_data"], said["_type"]
    parts = {name.removeprefix("weight."): tensor for name, tensor in tensors.items()}
    codes = parts["qdata"]
    if kind == "Int4TilePackedTo4dTensor":
        return _tiles(codes, parts["scale_and_zero"], values["shape"], values["block_size"][-1])
    rows, columns = len(codes), codes.shape[1] * (2 if kind in ("Int4Tensor", "NVFP4Tensor") else 1)
    weight = torch.empty(rows, columns)
    for row, column in product(range(rows), range(columns)):
        weight[row, column] = _number(kind, values, parts, row, column)
    return weight if kind == "Int4Tensor" else weight.bfloat16().float()


def _number(
    kind: str, values: Mapping[str, Any], parts: Mapping[str, Tensor], row: int, column: int
) -> float | Tensor:
    codes, scale = parts["qdata"], parts["scale"]
    block = values["block_size"]
    group = column // (block if isinstance(block, int) else block[-1])
    if kind in ("Int8Tensor", "IntxUnpackedToInt8Tensor"):
        apart = int(codes[row, column]) - int(parts["zero_point"][row, group])
        return apart * scale[row, group].float()
    if kind == "Int4Tensor":
        code = int(codes[row, column // 2]) >> (4 if column % 2 else 0) & 15
        signed = code - 16 if code > 7 else code
        return signed * scale[group, row].float() + parts["zero_point"][group, row].float()
    if kind == "Float8Tensor":
        return codes[row, column].float() * scale[row, 0]
    if kind == "MXTensor":
        code = int(codes[row, column])
        exponent, fraction = code >> 3 & 3, code & 7
        size = fraction / 8 if exponent == 0 else (1 + fraction / 8) * 2.0 ** (exponent - 1)
        power = 2.0 ** (int(scale.view(torch.uint8)[row, group]) - 127)
        return (-size if code & 32 else size) * power
    code = int(codes[row, column // 2]) >> (4 if column % 2 else 0) & 15
    size = -FOUR[code & 7] if code & 8 else FOUR[code & 7]
    # 24 rows are in one row of tiles, of 512 bytes each
    place = group // 4 * 512 + row % 32 * 16 + row // 32 * 4 + group % 4
    each = scale.reshape(-1)[place].float()
    return size * (each * parts["per_tensor_scale"])


def _tiles(words: Tensor, both: Tensor, shape: Sequence[int], group: int) -> Tensor:
    """As the kernel that packs them goes: a thread t has 8 codes of a row in each of its words."""
    rows, columns = shape
    weight = torch.empty(rows, columns)
    high, wide, lanes, each = words.shape
    for tile, outer, t, j in product(range(high), range(wide), range(lanes), range(each)):
        row, word = tile * 8 + t // 4, int(words[tile, outer, t, j]) & 0xFFFFFFFF
        for nibble, byte in enumerate([0, 4, 8, 12] * 2):
            column = (outer * each + j) * 32 + 2 * (byte + t % 4) + nibble // 4
            if row < rows and column < columns:
                scale, zero = both[column // group, row]
                code = torch.tensor((word >> 4 * nibble & 15) - 8).bfloat16()
                weight[row, column] = (code * scale + zero).float()
    return weight
