"""Forecast the kernels that a model will need, before its weights are read.

A copy of the model, with placeholder matrices of the file's formats that take no memory, is
recorded and lowered as the model itself will be. Missing kernels are compiled in the background
while the weights are read.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, cast

import torch
from torch import nn
from tramontane.backend import Device, is_part
from tramontane.block_format import Stored
from tramontane.blocks import CausalLM
from tramontane.engine.kv_cache import KVCache
from tramontane.layouts import Dense, Layout
from tramontane.placement.part import Part

from .kernels.repack import repack_numbers, repack_plane
from .numba_setup import Kernel
from .packing import Interleaved
from .precompile import wish
from .step.forward import Forward
from .step.graph import Node
from .step.interpreter import KERNELS
from .step.pool import shared_pool
from .threads import usable
from .translation import foreseen, kernels_for

log = logging.getLogger(__name__)
BLOCKS = 2
"""Size of the KV cache that the copy is lowered with."""


def foresee(
    model: CausalLM | Part,
    matrices: Mapping[str, Stored],
    device: Device,
    threads: int | None,
    activations: str,
    kv_dtype: torch.dtype,
) -> None:
    """Start compiling missing kernels. Implements `tramontane.backend.Foresee`."""
    count = threads or usable()
    first = _reading(matrices)
    wish(first, count)
    if is_part(model) or all(kernel.is_ready() for kernel in first):
        return  # no step is recorded of a part; all cached: then such a model has surely run before
    try:
        with torch.no_grad():
            exact = activations == "f32"
            later = missing_kernels(cast("CausalLM", model), matrices, count, exact, kv_dtype)
        wish([*first, *later], count)  # the first again: alone they may have been too few
    except Exception as error:  # noqa: BLE001 - errors are reported when the model is prepared
        log.debug("forecasting kernels failed: %s: %s", type(error).__name__, error)


def _reading(matrices: Mapping[str, Stored]) -> list[Kernel]:
    """Kernels that are called while weights are read, before a step is bound."""
    kernels = {kernel: None for stored in matrices.values() for kernel in kernels_for(stored)}
    return [*KERNELS, *(kernels or (repack_plane, repack_numbers))]


def missing_kernels(
    model: CausalLM,
    matrices: Mapping[str, Stored],
    threads: int,
    exact: bool,
    kv_dtype: torch.dtype,
) -> list[Kernel]:
    """Kernels of the model's step that are not compiled yet, except those for matrices that are
    not given."""
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
    """Fill a model on the meta device with placeholder weights that take no memory; returns the
    modules whose format is not known. These get the most common format."""
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
    """A placeholder matrix of the same kind, without data."""
    if isinstance(layout, Interleaved):
        packed = replace(layout.packed, rows=rows, columns=columns, arrays={})
        return Interleaved(packed, layout.kind)
    return Dense(torch.zeros(1, dtype=layout.data.dtype).expand(rows, columns))
