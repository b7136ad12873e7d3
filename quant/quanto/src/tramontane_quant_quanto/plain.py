"""quanto's arithmetic written plainly, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor


def decode(tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: str) -> Tensor:
    """A matrix whose groups are its rows, (rows, columns) float32."""
    scale = tensors["weight._scale"]
    if "weight._data" in tensors:
        return torch.stack(
            [row.float() * each for row, each in zip(tensors["weight._data"], scale, strict=True)]
        )
    data, shift = tensors["weight._data._data"].tolist(), tensors["weight._shift"]
    bits = int(config[path]["weights"].removeprefix("qint"))
    weight = torch.empty(len(scale), len(data[0]))
    for row, column in product(range(weight.shape[0]), range(weight.shape[1])):
        part, line = divmod(row, len(data))
        code = data[line][column] >> part * bits & (1 << bits) - 1
        weight[row, column] = (code * scale[row] - shift[row]).item()
    return weight
