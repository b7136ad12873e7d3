"""The same arithmetic written plainly, code by code, for the conformance kit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def decode(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """A layer's weights, (rows, columns) float32, from its tensors in safetensors."""
    said = {name: tensors[name] for name in ("W_q", "scale", "zero")}
    numbers = {name: int(tensors[name]) for name in ("nbits", "group_size", "axis")}
    return layer({**said, **numbers, "shape": tensors["shape"].tolist()})


def decode_qmodel(path: Path) -> dict[str, Tensor]:
    """Every tensor of a qmodel.pt in float32."""
    found = {}
    for module, held in torch.load(path, weights_only=True).items():
        if "W_q" in held:
            found[f"{module}.weight"] = layer(held)
            held = {"bias": held["bias"]} if held.get("bias") is not None else {}
        found |= {f"{module}.{name}": tensor.float() for name, tensor in held.items()}
    return found


def layer(said: Mapping[str, Any]) -> Tensor:
    """One code after the other, in the order of the matrix."""
    words, scale, zero = said["W_q"].tolist(), said["scale"].flatten(), said["zero"].flatten()
    bits, group = said["nbits"], said["group_size"]
    rows, columns = said["shape"]
    groups = rows * columns // group
    each = {8: 1, 6: 1, 5: 1, 4: 2, 3: 10, 2: 4, 1.58: 4, 1: 8}[bits]  # codes in a word
    taken = {1: 8, 2: 4, 10: 3, 4: 2, 8: 1}[each]
    weight = []
    for place in range(rows * columns):
        row, column = divmod(place, group if said["axis"] == 1 else groups)
        part, row = divmod(row, len(words))
        code = (words[row][column] >> (taken * (each - 1 - part))) % (1 << taken)
        own = place // group if said["axis"] == 1 else place % groups
        weight.append(float((code - zero[own]) * scale[own]))
    return torch.tensor(weight).view(rows, columns)
