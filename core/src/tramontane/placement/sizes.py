"""What modules take in memory, before they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from tramontane.blocks import Experts
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.weight_map import Slot, Source
from tramontane.engine.kv_cache import token_bytes
from tramontane.engine.kv_shapes import kv_modules, kv_shapes
from tramontane.engine.state_cache import state_shapes


@dataclass(frozen=True)
class Sizes:
    """weights: bytes by the path of each parameter. per_token, per_sequence: of keys and values,
    and of states, by the index of the layer that has them. widest: of the largest tensor."""

    weights: Mapping[str, int]
    per_token: Mapping[int, int]
    per_sequence: Mapping[int, int]
    widest: int
    experts: Mapping[int, tuple[str, ...]]
    """Paths of the experts of each layer that has any."""


def sizes_of(
    header: Header,
    model: nn.Module,
    wanted: Mapping[str, Slot],
    sources: Mapping[str, Source],
    kv_dtype: torch.dtype,
    in_memory: Callable[[TensorInfo], int],
) -> Sizes:
    """in_memory: bytes of a tensor once it is loaded."""
    # several places may be filled from one tensor, each with its share
    held = {name: in_memory(info) for name, info in header.tensors.items()}
    sharing: dict[tuple[str, ...], int] = {}
    for path, source in sources.items():
        sharing[source.tensors] = sharing.get(source.tensors, 0) + prod(wanted[path].shape)
    weights = {}
    for path, source in sources.items():
        total = sum(held[tensor] for tensor in source.tensors)
        share = prod(wanted[path].shape) / max(1, sharing[source.tensors])
        weights[path] = int(total * share)
    keeping = zip(kv_modules(model), kv_shapes(model), strict=True)
    per_token = {index: token_bytes(*shape, kv_dtype) for index, shape in keeping}
    per_sequence = {
        index: 4 * sum(prod(shape) for shape in shapes.values())
        for index, shapes in state_shapes(model).items()
    }
    experts: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        parts = path.split(".")
        if isinstance(module, Experts) and parts[:2] == ["model", "layers"]:
            experts.setdefault(int(parts[2]), []).append(path)
    return Sizes(
        weights, per_token, per_sequence, max(held.values(), default=0),
        {layer: tuple(paths) for layer, paths in experts.items()},
    )  # fmt: skip
