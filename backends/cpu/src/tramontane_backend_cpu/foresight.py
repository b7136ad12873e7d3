"""Which kernels a model will need, found out before its weights are read.

A copy of the model, with matrices that are like those of the file and take no memory, is recorded
and lowered as the model itself will be. What is missing is compiled while the weights are read.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import nn
from tramontane.backend import Device
from tramontane.blocks import CausalLM
from tramontane.engine.kv_cache import KVCache
from tramontane.layouts import Dense, Layout
from tramontane.stored import Stored

from .compile_ahead import wish
from .kernels.repack import repack_numbers, repack_plane
from .numba_setup import Kernel
from .packing import Interleaved
from .step.forward import Forward
from .step.graph import Node
from .step.interpreter import KERNELS
from .step.pool import shared_pool
from .threads import usable
from .translation import foreseen, kernels_for

log = logging.getLogger(__name__)
BLOCKS = 2
"""Of the cache that the copy is lowered with."""


def foresee(
    model: CausalLM,
    matrices: Mapping[str, Stored],
    device: Device,
    threads: int | None,
    activations: str,
    kv_dtype: torch.dtype,
) -> None:
    """Have missing kernels compiled from now on. Implements `tramontane.backend.Foresee`."""
    count = threads or usable()
    first = _reading(matrices)
    wish(first, count)
    if all(kernel.is_ready() for kernel in first):
        return  # these matrices were read before, and so, nearly always, was such a model
    try:
        with torch.no_grad():
            exact = activations == "f32"
            then = missing_kernels(model, matrices, count, exact, kv_dtype)
        wish([*first, *then], count)  # the first as well, where they alone were not worth it
    except Exception as error:  # noqa: BLE001 - it is tried in earnest when the weights are there
        log.debug("kernels are not foreseen: %s: %s", type(error).__name__, error)


def _reading(matrices: Mapping[str, Stored]) -> list[Kernel]:
    """What is called before a step is bound."""
    found = {kernel: None for stored in matrices.values() for kernel in kernels_for(stored)}
    return [*KERNELS, *(found or (repack_plane, repack_numbers))]


def missing_kernels(
    model: CausalLM,
    matrices: Mapping[str, Stored],
    threads: int,
    exact: bool,
    kv_dtype: torch.dtype,
) -> list[Kernel]:
    """Those that are not compiled yet of all that the model's step consists of, besides those for
    matrices that are not among the given ones."""
    copied = copy.deepcopy(model)
    unknown = _fill(copied, {path: foreseen(stored) for path, stored in matrices.items()})
    program = Forward(copied, shared_pool(threads), exact=exact).program
    if program is None:
        return []
    cache = KVCache(copied, BLOCKS, kv_dtype, torch.device("cpu"), remember=False)

    def skip(node: Node) -> bool:
        modules = (node.of.get(name) for name in ("module", "gate", "up"))
        parts = chain.from_iterable(each.modules() for each in modules if each is not None)
        return any(part in unknown for part in parts)

    return program.missing_kernels(cache, skip)


def _fill(model: nn.Module, layouts: Mapping[str, Layout | None]) -> set[nn.Module]:
    """Give a model without weights some that take no memory; returns the modules for which it is
    not known what they will have. They get what most others have."""
    unknown = set()
    known = [layout for layout in layouts.values() if layout is not None]
    kinds = Counter(layout.kind for layout in known)
    usual = max(known, key=lambda layout: kinds[layout.kind], default=None)
    for path, module in model.named_modules():
        weight: Any = getattr(module, "weight", None)
        if isinstance(weight, Dense):
            layout: Any = layouts.get(f"{path}.weight")
            if layout is None:
                unknown.add(module)
                layout = weight if usual is None else _with_shape(usual, *weight.shape)
            module.weight = layout
        for name, parameter in list(module.named_parameters(recurse=False)):
            numbers = torch.zeros(1, dtype=parameter.dtype).expand(parameter.shape)
            setattr(module, name, nn.Parameter(numbers, requires_grad=False))
    return unknown


def _with_shape(layout: Any, rows: int, columns: int) -> Any:
    """A matrix of the same kind, of which nobody asks where its numbers are."""
    if isinstance(layout, Interleaved):
        packed = replace(layout.packed, rows=rows, columns=columns, arrays={})
        return Interleaved(packed, layout.kind)
    return Dense(torch.zeros(1, dtype=layout.data.dtype).expand(rows, columns))
