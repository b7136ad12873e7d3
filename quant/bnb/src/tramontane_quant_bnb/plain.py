"""The format's arithmetic, as its specification has it, number after number."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROUND = {"float32": np.float32, "float16": np.float16}


def decode(tensors: dict[str, Tensor], config: dict[str, Any]) -> Tensor:
    """The weights (rows, columns) of a layer in float32."""
    named = {name: tensor.numpy() for name, tensor in tensors.items()}
    if "SCB" in named:
        rows = [
            row.astype(np.float32) * scale * np.float32(1 / 127)
            for row, scale in zip(named["weight"], named["SCB"], strict=True)
        ]
        return torch.from_numpy(np.stack(rows))
    letters = next(each for name, each in named.items() if "quant_state" in name)
    state = json.loads(letters.tobytes())
    scales = named["weight.absmax"]
    if "nested_blocksize" in state:
        scales = np.array(
            [
                named["weight.nested_quant_map"][code]
                * named["weight.nested_absmax"][place // state["nested_blocksize"]]
                + np.float32(state["nested_offset"])
                for place, code in enumerate(scales)
            ],
            np.float32,
        )
    weights: list[np.float32] = []
    for byte in named["weight"].view(np.uint8).ravel():
        for code in (byte >> 4, byte & 15):
            scale = scales[len(weights) // state["blocksize"]]
            weights.append(named["weight.quant_map"][code] * scale)
    made = np.array(weights, np.float32).astype(ROUND[state["dtype"]]).astype(np.float32)
    return torch.from_numpy(made).view(state["shape"])
