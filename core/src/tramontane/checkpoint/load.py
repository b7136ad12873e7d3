"""From an opened checkpoint to a model that is ready: plan, build, fill, prepare, report."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, cast

import torch
from torch import Tensor

from tramontane import memory, reference
from tramontane.adapters.prompted import plain_bind
from tramontane.backend import HOST, Device
from tramontane.blocks import CausalLM
from tramontane.config import DecoderConfig
from tramontane.engine.kv_cache import bytes_per_token
from tramontane.engine.kv_codes import INT4
from tramontane.engine.state_cache import bytes_per_sequence
from tramontane.errors import ConfigError
from tramontane.layouts import Layout, nbytes
from tramontane.parallel.group import Group, Leads
from tramontane.placement.placed import Placed
from tramontane.placement.placement import Placement
from tramontane.plugin import load
from tramontane.prepared.find import Filled, Unsaved
from tramontane.prepared.find import Place as PreparedPlace
from tramontane.prepared.find import place_of as place_on_shelf
from tramontane.quantizing.asked import planned, quantizing_of
from tramontane.quantizing.choose_kind import kernels_of
from tramontane.quantizing.in_place import report_of
from tramontane.quantizing.topology import read_topology
from tramontane.registry import Registry
from tramontane.system import torch_parts
from tramontane.system.standing import preparing

from .build import Built, build_for
from .cache_scales import use_cache_scales
from .checkpoint import Checkpoint
from .fast_load import Place, place_of
from .fill import compute_in, fill, tie
from .load_options import DeviceReport, LoadOptions, LoadReport, Progress, QuantizedReport
from .plan import Beside, plan, plan_parts
from .prepare import (
    devices_report,
    main_device,
    placed_as,
    places_of,
    prepare_parts,
    product_of,
    products_of,
)

log = logging.getLogger(__name__)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHORT_DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
KV_DTYPES = {
    **DTYPES, "int8": torch.int8, "int4": INT4,
    "float8_e4m3": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2,
}  # fmt: skip
KV_TYPES = {
    **SHORT_DTYPES, "int8": "int8", "int4": "int4", "f8e4m3": "float8_e4m3",
    "f8e5m2": "float8_e5m2",
}  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """A model in place, and what the engine needs to know of it."""

    model: CausalLM
    config: DecoderConfig
    device: Device
    dtype: torch.dtype
    kv_dtype: torch.dtype
    context_length: int
    report: LoadReport
    sample: Tensor
    """Some of the embedding as it was in the file: what a model is known by."""
    multiply: Callable[[Tensor, Layout], Tensor] = reference.linear
    """The backend's product with a dense matrix, of which a row's bits do not depend on others."""
    placed: Placed | None = None
    """Where everything is, if on several devices; device is then home."""
    products: Mapping[str, Callable[[Tensor, Layout], Tensor]] = field(default_factory=dict)
    """Each device's `multiply`, by its name, if there are several."""
    team: Leads | None = None
    """The ranks that compute it, if there are several."""
    draft_bytes_per_token: int = 0
    """What a token of context takes in the draft model's cache."""

    bind: Callable[[Layout], tuple[Layout, Callable[[Tensor, Layout], Tensor]]] = plain_bind
    """A matrix in the backend's form, and its kernel: for what may take a weight's place."""
    unsaved: Unsaved | None = None
    """The weights for the next start, where it would gain by them, and does not have them yet."""
    placement: Placement | None = None
    """Which devices it is on; None: the one."""

    @property
    def bytes_per_token(self) -> int:
        """What a token of context takes, in the draft model's cache too."""
        return bytes_per_token(self.model, self.kv_dtype) + self.draft_bytes_per_token

    def where(self, path: str) -> tuple[Callable[[Tensor, Layout], Tensor], torch.device]:
        """The product of a module's device, by the module's path, and the device."""
        if self.placed is None:
            return self.multiply, torch.device(self.device.torch_device)
        spot = self.placed.spot(self.model.get_submodule(path))
        return self.products[spot.name], spot.device


def load_model(
    checkpoint: Checkpoint,
    registry: Registry,
    options: LoadOptions,
    progress: Progress | None = None,
    chosen: str = "",
    beside: Beside | None = None,
    *,
    keeps_hidden: bool = False,
    group: Group | None = None,
) -> Loaded:
    """Fill a model from a checkpoint. chosen: why it is this one, for the report. beside: the draft
    model that will be loaded too. keeps_hidden: whether the model is to keep `CausalLM.hidden`.
    group: with which it is computed; this rank loads its share.

    Raises CheckpointError, PluginError, NotEnoughMemory.
    """
    started = time.perf_counter()
    bytes_in_file = sum(info.nbytes for info in checkpoint.header.tensors.values())
    built = build_for(checkpoint, registry, options.overrides)
    header, model, config = built.checkpoint.header, built.model, built.config
    model.keeps_hidden = keeps_hidden
    topology = None if options.topology is None else read_topology(options.topology)
    device, backend = main_device(options, topology, registry)
    kv_dtype_name = kv_dtype_of(options, device, dtype_of(options, device))
    kv_dtype = KV_DTYPES[kv_dtype_name]
    place = place_of(backend, device, options, kv_dtype)
    quantizing = quantizing_of(options, registry, built, kernels_of(place.pack), topology)
    if quantizing is not None:
        header = planned(built, quantizing.choices)
    making = 0 if quantizing is None else quantizing.overhead(built.wanted)
    merging = None
    if options.merge:
        from tramontane.adapters.merging import merging_of

        merging = merging_of(options, registry, built)
        making += 0 if merging is None else merging.more_bytes
    share = None
    if group is not None:
        from tramontane.parallel.split_model import split_model

        made = () if quantizing is None else quantizing.choices.kinds
        share = split_model(built, group, made)
        header = share.header(header, built.sources)
    placement, sizes = placed_as(built, header, options, topology, registry, kv_dtype)
    placed: Placed | None = None
    dtypes = {
        index: DTYPES[dtype_of(options, placement.devices[index][0])] for index in placement.used
    }
    device, backend = placement.home
    if share is not None:
        if placement.several:
            raise ConfigError("each rank's share is on one device; name it (--device)")
        if device.memory == HOST:  # of which each rank of this machine takes some
            device = replace(device, memory_free=device.memory_free // options.tp_local)
    dtype_name, dtype = dtype_of(options, device), dtypes[0]
    at: Place | Callable[[str], Place]
    if placement.several:
        if beside is not None or keeps_hidden:
            raise ConfigError("--draft with a model is for one device; leave it, or the placement")
        context = plan_parts(header, model, placement, sizes, options, making)
        placed = Placed(model, placement, dtypes)
        at = places_of(placed, options, kv_dtype, dtypes)
    else:
        context = plan(header, model, device, dtype, kv_dtype, options, making, beside)
        at = place_of(backend, device, options, kv_dtype)
    filling = (built.checkpoint, model, config, built.architecture, dtype, options, progress)
    shelf = None
    if quantizing is None and merging is None and placed is None and share is None:
        shelf = place_on_shelf(built, backend, options, registry)
    kept = None if shelf is None else _fill_from(shelf, built, dtype, progress)
    if kept is None and torch_parts.complete():  # the model was built without all of torch
        return load_model(checkpoint, registry, options, progress, chosen, group=group)
    if kept is not None:
        sample = kept.sample
    elif quantizing is None:
        sample = fill(*filling, at, None, merging, share=share)
    else:
        with memory.large_blocks_apart(), closing(quantizing):
            sample = fill(*filling, at, quantizing, merging, share=share)
    if merging is not None:
        sample = merging.marked(sample)
    use_cache_scales(checkpoint, model, kv_dtype)
    kernels: Mapping[str, str] = {}
    if placed is not None:
        kernels = prepare_parts(placed, options)
    elif backend is not None:
        kernels = preparing(backend)(model, device, options.threads, options.activations)
    elif options.threads is not None:
        torch.set_num_threads(options.threads)
    weights = (
        getattr(module, "weight", None) for module in model.modules() if hasattr(module, "kernel")
    )
    no_layout = (type(None), torch.nn.Parameter)
    unique = {id(each): cast("Any", each) for each in weights if not isinstance(each, no_layout)}
    report = LoadReport(
        path=str(header.path),
        architecture=header.architecture,
        container=header.container,
        device=" + ".join(placement.devices[index][0].name for index in placement.used),
        dtype=dtype_name,
        kv_dtype=kv_dtype_name,
        kv_bytes_per_token=bytes_per_token(model, kv_dtype),
        state_bytes_per_sequence=bytes_per_sequence(model),
        layouts=dict(Counter(weight.kind for weight in unique.values())),
        kernels=kernels,
        bytes_in_file=bytes_in_file,
        bytes_in_memory=sum(nbytes(weight) for weight in unique.values()),
        context_length=context,
        seconds=time.perf_counter() - started,
        quantized=None if quantizing is None else quantizing.report(),
        chosen=chosen,
        devices=devices_report(placement, sizes, model, options, context),
        merged=() if merging is None else tuple(merging.lines()),
        shared=() if share is None else tuple(share.lines()),
        prepared=kept is not None and kept.kernels == kernels,
    )
    for line in report.merged:
        log.info("%s", line)
    if report.quantized is not None and not report.quantized.kinds:
        log.warning("%s", "; ".join(line.strip() for line in report.quantized.lines()))
    registry.tell("model_loaded", report=report)
    multiply = product_of(backend, options)
    bind = plain_bind
    if backend is not None and backend.bind is not None:
        target = load(backend.bind)

        def bind(weight: Layout) -> tuple[Layout, Callable[[Tensor, Layout], Tensor]]:
            return target(weight, device, options.threads, options.activations)  # type: ignore[no-any-return]

    unsaved = None if shelf is None or kept is not None else shelf.unsaved(built, sample, kernels)
    return Loaded(
        model,
        config,
        device,
        dtype,
        kv_dtype,
        context,
        report,
        sample,
        multiply,
        placed=placed,
        products={} if placed is None else products_of(placed, options),
        placement=placement,
        draft_bytes_per_token=0 if beside is None else beside.per_token,
        bind=bind,
        unsaved=unsaved,
    )


def dtype_of(options: LoadOptions, device: Device) -> str:
    """What a device computes in. Raises ConfigError."""
    found = device.dtype if options.dtype == "auto" else SHORT_DTYPES.get(options.dtype)
    if found not in DTYPES:
        raise ConfigError(f"dtype {options.dtype!r} is not one of auto, f32, bf16, f16")
    if options.activations not in ("auto", "f32"):
        raise ConfigError(f"activations {options.activations!r} is not one of auto, f32")
    return found


def beside_of(checkpoint: Checkpoint, registry: Registry, options: LoadOptions) -> Beside:
    """What a draft model will take, without reading a weight. Raises as `load_model`."""
    built = build_for(checkpoint, registry, options.overrides)
    device, _ = main_device(options, None, registry)
    dtype = dtype_of(options, device)
    types = (DTYPES[dtype], KV_DTYPES[kv_dtype_of(options, device, dtype)])
    return Beside.of(built.checkpoint.header, built.model, *types, options)


def _fill_from(
    place: PreparedPlace, built: Built, dtype: torch.dtype, progress: Progress | None
) -> Filled | None:
    """What `fill` does, from a prepared model; None where there is none."""
    total = sum(info.nbytes for info in built.checkpoint.header.tensors.values())
    if progress is not None:
        progress(0, total)
    filled = place.fill(built)
    if filled is None:
        return None
    compute_in(built.model, lambda path: dtype)
    tie(built.model, built.ties)
    if progress is not None:
        progress(total, total)
    return filled


def kv_dtype_of(options: LoadOptions, device: Device, dtype: str) -> str:
    """What keys and values are kept in. Raises ConfigError."""
    if options.kv_type != "auto":
        if options.kv_type not in KV_TYPES:
            names = ", ".join(KV_TYPES)
            raise ConfigError(f"kv_type {options.kv_type!r} is not one of auto, {names}")
        return KV_TYPES[options.kv_type]
    exact = options.dtype != "auto" or options.activations == "f32"
    return dtype if exact or device.kv_dtype is None else device.kv_dtype


def foresee_quantizing(
    checkpoint: Checkpoint, registry: Registry, options: LoadOptions
) -> QuantizedReport | None:
    """What quantizing would make, without reading a weight; None where nothing is asked for.
    Raises as `load_model`."""
    built = build_for(checkpoint, registry, options.overrides)
    topology = None if options.topology is None else read_topology(options.topology)
    device, backend = main_device(options, topology, registry)
    place = place_of(backend, device, options, torch.float32)
    quantizing = quantizing_of(options, registry, built, kernels_of(place.pack), topology)
    if quantizing is None:
        return None
    quantizing.close()
    kinds = quantizing.choices.kinds.items()
    size = sum(kind.nbytes(prod(built.wanted[path].shape)) for path, kind in kinds)
    return report_of(quantizing.asked, quantizing.choices, size)


def foresee_placement(
    checkpoint: Checkpoint, registry: Registry, options: LoadOptions
) -> tuple[DeviceReport, ...]:
    """What goes where, without reading a weight; nothing where one device has all. Raises as
    `load_model`, also where it does not fit."""
    built = build_for(checkpoint, registry, options.overrides)
    topology = None if options.topology is None else read_topology(options.topology)
    device, backend = main_device(options, topology, registry)
    kv_dtype = KV_DTYPES[kv_dtype_of(options, device, dtype_of(options, device))]
    place = place_of(backend, device, options, kv_dtype)
    quantizing = quantizing_of(options, registry, built, kernels_of(place.pack), topology)
    header = built.checkpoint.header
    if quantizing is not None:
        header = planned(built, quantizing.choices)
        quantizing.close()
    placement, sizes = placed_as(built, header, options, topology, registry, kv_dtype)
    if not placement.several:
        return ()
    context = plan_parts(header, built.model, placement, sizes, options)
    return devices_report(placement, sizes, built.model, options, context)
