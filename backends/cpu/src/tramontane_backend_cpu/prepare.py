"""Put kernels on a model's blocks: one table, by operation and layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from tramontane.backend import Device
from tramontane.blocks import Attention, CausalLM, Embedding, Linear
from tramontane.layouts import Affine, Dense, Layout

from . import attention, linear
from .running import set_threads
from .threads import usable

KERNELS: dict[tuple[str, str], Callable[..., Any]] = {
    ("linear", "affine"): linear.affine_linear,
    ("linear", "float32"): linear.dense_linear,
    ("linear", "bfloat16"): linear.dense_linear,
    ("linear", "float16"): linear.dense_linear,
    ("embedding", "affine"): linear.affine_embedding,
}


def prepare(model: CausalLM, device: Device, threads: int | None) -> Mapping[str, str]:
    """Choose a kernel for every block. Implements `tramontane.backend.Prepare`."""
    set_threads(threads or usable())
    chosen = {}
    for module in model.modules():
        if isinstance(module, Linear):
            kind = module.weight.kind
            if kernel := KERNELS.get(("linear", _family(module.weight))):
                module.kernel = kernel
            chosen[f"linear {kind}"] = kernel.__name__ if kernel else "reference"
        elif isinstance(module, Embedding):
            kind = module.weight.kind
            if kernel := KERNELS.get(("embedding", _family(module.weight))):
                module.kernel = kernel
            chosen[f"embedding {kind}"] = kernel.__name__ if kernel else "reference"
        elif isinstance(module, Attention):
            module.kernel = attention.attention
            chosen["attention"] = attention.attention.__name__
    return chosen


def _family(weight: Layout) -> str:
    if isinstance(weight, Affine):
        return "affine"
    assert isinstance(weight, Dense)
    on_cpu = weight.data.device == torch.device("cpu")
    return weight.kind if on_cpu and weight.data.dim() == 2 else "other"
