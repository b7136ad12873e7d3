"""The format's arithmetic once more, number by number in Python, by its specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NUMBERS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def decode(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """blocks (experts, rows, groups, 16), scales (experts, rows, groups) -> (experts * rows,
    columns)."""
    rows = []
    for blocks, scales in zip(
        tensors["blocks"].flatten(0, 1).tolist(), tensors["scales"].flatten(0, 1).tolist(),
        strict=True,
    ):  # fmt: skip
        row = []
        for block, scale in zip(blocks, scales, strict=True):
            for byte in block:
                for code in (byte & 15, byte >> 4):
                    number = NUMBERS[code & 7] * 2.0 ** (scale - 127)
                    row.append(-number if code & 8 else number)
        rows.append(row)
    return torch.tensor(rows)
