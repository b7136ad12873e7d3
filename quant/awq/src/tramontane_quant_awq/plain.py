"""The arithmetic of version gemm with 4 bits, as its specification has it, word after word."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

REVERSED = (0, 4, 1, 5, 2, 6, 3, 7)
"""Which nibble of a word has the row of each place."""


def decode(tensors: dict[str, Tensor], config: dict[str, Any]) -> Tensor:
    """The weights (rows, columns) of a layer in float32, rounded as float16 scales make them."""
    words = tensors["qweight"].numpy().view(np.uint32)
    zeros = tensors["qzeros"].numpy().view(np.uint32)
    scales = tensors["scales"].numpy()
    weight = np.empty((scales.shape[1], len(words)), np.float32)
    for row in range(len(weight)):
        word, shift = row // 8, 4 * REVERSED[row % 8]
        for column in range(len(words)):
            group = column // config["group_size"]
            apart = int(words[column, word] >> shift & 15) - int(zeros[group, word] >> shift & 15)
            weight[row, column] = np.float16(np.float32(apart) * np.float32(scales[group, row]))
    return torch.from_numpy(weight)
