"""What llama.cpp's converter does to tensors, in numpy; rows move, columns stay."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .record import Tensors


def interleaved(tensors: Tensors, config: Any) -> Tensors:
    """Rows of q and k from halves to adjacent pairs."""
    counts = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    return {
        name: pairs(data, counts[part])
        if (part := name.split(".")[-2] if "." in name else "") in counts
        else data
        for name, data in tensors.items()
    }


def pairs(data: Any, heads: int) -> Any:
    halves = data.reshape(heads, 2, -1, *data.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(data.shape))


def stacked(tensors: Tensors, config: Any) -> Tensors:
    """A matrix of each expert as one of all."""
    found: dict[str, dict[int, Any]] = {}
    out = {}
    for name, data in tensors.items():
        parts = re.fullmatch(r"(.*\.experts)\.(\d+)\.(.*)", name)
        if parts is None:
            out[name] = data
        else:
            found.setdefault(f"{parts[1]}.{parts[3]}", {})[int(parts[2])] = data
    for name, experts in found.items():
        out[name] = np.stack([experts[index] for index in sorted(experts)])
    return out


def by_part(tensors: Tensors, groups: int, sizes: tuple[int, int, int], d_head: int) -> Tensors:
    """query_key_value of each group of heads as all of q, all of k, all of v."""
    out = {}
    for name, data in tensors.items():
        if "query_key_value" in name:
            rows = data.reshape(groups, sum(sizes), d_head, *data.shape[1:])
            ends = np.cumsum(sizes)[:-1]
            parts = [p.reshape(-1, *data.shape[1:]) for p in np.split(rows, ends, 1)]
            data = np.ascontiguousarray(np.concatenate(parts))
        out[name] = data
    return out


def renamed(tensors: Tensors, *changes: tuple[str, str]) -> Tensors:
    for before, after in changes:
        tensors = {name.replace(before, after): data for name, data in tensors.items()}
    return tensors
