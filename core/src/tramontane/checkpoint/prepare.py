"""A checkpoint on the devices of a placement: which, what each takes, and what prepares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from tramontane import reference
from tramontane.backend import EAGER, STEP
from tramontane.blocks import CausalLM
from tramontane.layouts import Layout
from tramontane.placement.asked import Range, parse_map
from tramontane.placement.choose import choose_placement
from tramontane.placement.needs import needs
from tramontane.placement.placed import Placed
from tramontane.placement.placement import Found, Placement
from tramontane.placement.sizes import Sizes, sizes_of
from tramontane.plugin import Backend, load
from tramontane.quantizing.topology import Topology
from tramontane.registry import Registry
from tramontane.system.devices import accelerators, choose_device
from tramontane.system.standing import preparing

from .build import Built
from .checkpoint import Header
from .fast_load import Place, place_of
from .load_options import DeviceReport, LoadOptions
from .plan import context_asked, in_memory, logits_bytes, media_bytes

Multiply: TypeAlias = Callable[[Tensor, Layout], Tensor]
ASKED = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
"""Of dense weights, where a type is asked for; otherwise they stay as they are stored."""


def main_device(options: LoadOptions, topology: Topology | None, registry: Registry) -> Found:
    """The device whose types of numbers and kernels a model is loaded for: home, as far as it is
    known before anything is placed. Raises as `choose_device`, ConfigError."""
    if options.device_map is None:
        return choose_device(options.device, registry)
    first = parse_map(options.device_map)[0]
    if isinstance(first, Range):
        return choose_device(first.device, registry)
    cards = accelerators(registry)
    return cards[0] if cards else choose_device("auto", registry)


def placed_as(
    built: Built,
    header: Header,
    options: LoadOptions,
    topology: Topology | None,
    registry: Registry,
    kv_dtype: torch.dtype,
) -> tuple[Placement, Sizes]:
    """Where the modules of a model go, and what they take. Reads no weight. Raises as
    `choose_placement`."""
    model = built.model
    dtype = ASKED.get(options.dtype, torch.float32)
    held = partial(in_memory, dtype=dtype, options=options)
    sizes = sizes_of(header, model, built.wanted, built.sources, kv_dtype, held)
    placement = choose_placement(
        options,
        topology,
        registry,
        model,
        len(model.model.layers),
        sizes,
        logits_bytes(model) + media_bytes(model, options),
        context_asked(header, model, options),
    )
    return placement, sizes


def places_of(
    placed: Placed,
    options: LoadOptions,
    kv_dtype: torch.dtype,
    dtypes: Mapping[int, torch.dtype],
) -> Callable[[str], Place]:
    """What each device does with its weights as they are read, by a weight's path."""
    placement = placed.placement
    places = {}
    for index, spot in placed.spots.items():
        device, backend = placement.devices[index]
        one = place_of(backend, device, options, kv_dtype)
        places[index] = replace(one, part=spot.part, dtype=dtypes[index])
    return lambda path: places[placement.index(path)]


def prepare_parts(placed: Placed, options: LoadOptions) -> Mapping[str, str]:
    """Let every device's backend prepare its part, then connect the parts. Returns the kernels."""
    kernels = {}
    for index, spot in placed.spots.items():
        device, backend = placed.placement.devices[index]
        if backend is not None:
            prepare = preparing(backend)
            found = prepare(spot.part, device, options.threads, options.activations)
            for name, kernel in found.items():
                if name != STEP:
                    kernels[f"{spot.name}: {name}"] = kernel
        elif options.threads is not None:
            torch.set_num_threads(options.threads)
    placed.connect()
    return {**kernels, STEP: f"{EAGER}the model is on several devices"}


def devices_report(
    placement: Placement, sizes: Sizes, model: CausalLM, options: LoadOptions, context: int
) -> tuple[DeviceReport, ...]:
    """What each of several devices has; nothing to say of one."""
    if not placement.several:
        return ()
    found = needs(placement, sizes, logits_bytes(model) + media_bytes(model, options))
    return tuple(
        DeviceReport(
            name=device.name,
            label=device.label,
            holds=placement.said(index),
            weights=need.weights,
            caches=need.per_token * context + need.states,
            beside=need.beside,
            free=device.memory_free,
        )
        for index, need in found.items()
        for device, _ in [placement.devices[index]]
    )


def product_of(backend: Backend | None, options: LoadOptions) -> Multiply:
    """A backend's product with plain matrices."""
    if backend is None or backend.multiply is None:
        return reference.linear
    found: Multiply = load(backend.multiply)(options.threads)
    return found


def products_of(placed: Placed, options: LoadOptions) -> dict[str, Multiply]:
    """The same of each device, by its name."""
    devices = placed.placement.devices
    return {
        spot.name: product_of(devices[index][1], options) for index, spot in placed.spots.items()
    }
