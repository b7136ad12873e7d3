"""Models that do not run in the engine, and parts of models: plan, build, fill, prepare, report."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from tramontane import memory, reference
from tramontane.backend import STEP, Device
from tramontane.blocks import CausalLM
from tramontane.blocks.task_model import TaskModel
from tramontane.config.decoder import ModelConfig
from tramontane.errors import CheckpointError, ConfigError, NotEnoughMemory, UsageError
from tramontane.hub.options import HubOptions
from tramontane.layouts import Layout, nbytes
from tramontane.placement.part import Part
from tramontane.plugin import Architecture, Backend, load
from tramontane.quantizing.asked import planned, quantizing_of
from tramontane.quantizing.choose_kind import kernels_of
from tramontane.quantizing.in_place import Quantizing
from tramontane.quantizing.topology import read_topology
from tramontane.registry import Registry
from tramontane.system.devices import choose_device
from tramontane.system.standing import preparing
from tramontane.target_call import call

from .build import Built, build_for
from .checkpoint import Checkpoint, HasParts, Header
from .fast_load import place_of
from .fill import fill
from .load import DTYPES, dtype_of
from .load_options import LoadOptions, LoadReport, Progress
from .plan import in_memory
from .prepare import product_of

log = logging.getLogger(__name__)
WHOLE = ""
"""The name of the part that a checkpoint without parts is."""
FOR_LAYERS = ("gpu_layers", "device_map", "n_cpu_moe")
"""Options of a placement by layers, which only models of text have."""


@dataclass(frozen=True)
class LoadedPart:
    """A part of a model in place; a model without parts is one. around: entered while it runs.
    multiply: the backend's product with a dense matrix, of which a row's bits do not depend on
    others."""

    name: str
    model: Any
    config: Any
    architecture: Architecture
    header: Header
    device: Device
    dtype: torch.dtype
    report: LoadReport
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    multiply: Callable[[Tensor, Layout], Tensor] = reference.linear


def parts_of(
    checkpoint: Checkpoint, registry: Registry, hub: HubOptions, folder: Path | None = None
) -> dict[str, Checkpoint]:
    """A checkpoint's parts by name, itself under `WHOLE` where it has tensors of its own. Those
    that are not its own are opened here, and are the caller's to close. Raises as
    `open_checkpoint`. folder: where else they may lie."""
    from tramontane.model.source import find_model

    from .open import open_checkpoint

    offer = registry.get(Architecture, checkpoint.header.architecture)
    inside = dict(checkpoint.parts) if isinstance(checkpoint, HasParts) else {}
    found: dict[str, Checkpoint] = inside or {WHOLE: checkpoint}
    if offer.parts is None:
        return found
    wanted = call(load(offer.parts), {"checkpoint": checkpoint}, folder=folder)
    with ExitStack() as opened:  # closes what is open where a later one fails
        for name, where in wanted.items():
            path = where if isinstance(where, Path) else find_model(where, registry, hub)
            found[name] = opened.enter_context(closing(open_checkpoint(path, registry)))
        opened.pop_all()
    return found


def load_parts(
    checkpoints: Mapping[str, Checkpoint],
    registry: Registry,
    options: LoadOptions,
    progress: Progress | None = None,
) -> dict[str, LoadedPart]:
    """Load all parts of a model, after a look at the memory that they take together.

    Raises CheckpointError, PluginError, NotEnoughMemory.
    """
    if options.tp not in (None, 1):
        raise UsageError("--tp is for models that write text; this one is computed by one process")
    for name in FOR_LAYERS:
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} places layers of models that write text; this one "
                "is on one device (--device)"
            )
    device, backend = choose_device(options.device, registry)
    built = {
        name: build_for(each, registry, options.overrides) for name, each in checkpoints.items()
    }
    for one in built.values():
        if not isinstance(one.model, TaskModel):
            raise CheckpointError(
                f"{one.checkpoint.header.path}: {one.architecture.name} is no part of a model"
            )
    plan_parts(built, registry, device, backend, options)
    total = sum(
        info.nbytes for one in built.values() for info in one.checkpoint.header.tensors.values()
    )
    before = 0
    loaded = {}
    for name, one in built.items():

        def told(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        loaded[name] = _load(name, one, registry, options, device, backend, told)
        before += sum(info.nbytes for info in one.checkpoint.header.tensors.values())
    return loaded


def plan_parts(
    built: Mapping[str, Built],
    registry: Registry,
    device: Device,
    backend: Backend | None,
    options: LoadOptions,
) -> None:
    """Compare what parts take with what is free. Raises NotEnoughMemory before a weight is read."""
    dtype = DTYPES[dtype_of(options, device)]
    sizes, making = [], 0
    for one in built.values():
        header = one.checkpoint.header
        quantizing = _quantizing(one, registry, device, backend, options)
        if quantizing is not None:
            header = planned(one, quantizing.choices)
            making = max(making, quantizing.overhead(one.wanted))
            quantizing.close()
        sizes += [in_memory(info, dtype, options) for info in header.tensors.values()]
    working = max((cast("TaskModel", one.model).working_bytes for one in built.values()), default=0)
    need = sum(sizes) + max(sizes, default=0) + device.reserve + working + making
    if options.force or need <= device.memory_free:
        return
    path = next(iter(built.values())).checkpoint.header.path
    raise NotEnoughMemory(
        f"{path} needs {memory.readable(need)} ({memory.readable(sum(sizes))} of weights, "
        f"{memory.readable(working)} to work), and {memory.readable(device.memory_free)} are free "
        f"on {device.name}; use a smaller quantization (--isq) or --force to try all the same"
    )


def _load(
    name: str,
    built: Built,
    registry: Registry,
    options: LoadOptions,
    device: Device,
    backend: Backend | None,
    progress: Progress,
) -> LoadedPart:
    started = time.perf_counter()
    model: TaskModel = cast("Any", built.model)
    config: ModelConfig = built.config
    header = built.checkpoint.header
    dtype_name = dtype_of(options, device)
    dtype = DTYPES[dtype_name]
    place = place_of(backend, device, options, dtype)
    place = replace(place, foresee=None)  # it compiles a step, and there is none
    quantizing = _quantizing(built, registry, device, backend, options)
    loading: Any = partial(
        fill, built.checkpoint, cast("Any", model), cast("Any", config), built.architecture, dtype,
        options, progress, place,
    )  # fmt: skip
    if quantizing is None:
        loading()
    else:
        with memory.large_blocks_apart(), closing(quantizing):
            loading(quantizing)
    kernels: dict[str, str] = {}
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    if backend is not None:
        part = Part(cast("Any", model), dict(model.named_modules()))
        kernels.update(preparing(backend)(part, device, options.threads, options.activations))
        around = part.around
    elif options.threads is not None:
        torch.set_num_threads(options.threads)
    if not any(isinstance(module, CausalLM) for module in model.modules()):
        kernels.pop(STEP, None)  # there is none
    held = {
        id(weight): weight
        for module in model.modules()
        if hasattr(module, "kernel")
        and not isinstance(
            weight := getattr(module, "weight", None), (type(None), torch.nn.Parameter)
        )
    }
    weights: list[Any] = list(held.values())
    report = LoadReport(
        path=str(header.path),
        architecture=header.architecture,
        container=header.container,
        device=device.name,
        dtype=dtype_name,
        kv_dtype=dtype_name,
        kv_bytes_per_token=0,
        state_bytes_per_sequence=0,
        layouts=dict(Counter(weight.kind for weight in weights)),
        kernels=kernels,
        bytes_in_file=sum(info.nbytes for info in header.tensors.values()),
        bytes_in_memory=sum(nbytes(weight) for weight in weights),
        context_length=0,
        seconds=time.perf_counter() - started,
        quantized=None if quantizing is None else quantizing.report(),
        task=built.architecture.task,
    )
    if report.quantized is not None and not report.quantized.kinds:
        log.warning("%s", "; ".join(line.strip() for line in report.quantized.lines()))
    multiply = product_of(backend, options)
    return LoadedPart(
        name, model, config, built.architecture, header, device, dtype, report, around, multiply
    )


def _quantizing(
    built: Built,
    registry: Registry,
    device: Device,
    backend: Backend | None,
    options: LoadOptions,
) -> Quantizing | None:
    """What options ask to be made of a part's matrices."""
    place = place_of(backend, device, options, torch.float32)
    topology = None if options.topology is None else read_topology(options.topology)
    return quantizing_of(options, registry, built, kernels_of(place.pack), topology)


def report_of(path: Path, name: str, task: str, parts: Mapping[str, LoadedPart]) -> LoadReport:
    """The report of a whole model: of a single part its own."""
    if set(parts) == {WHOLE}:
        return replace(parts[WHOLE].report, task=task)
    each = {part: one.report for part, one in parts.items()}
    first = next(iter(each.values()), None)
    if first is None:
        raise ConfigError(f"{path} has no parts with weights")
    layouts: Counter[str] = Counter()
    for one in each.values():
        layouts.update(one.layouts)
    return replace(
        first,
        path=str(path),
        architecture=name,
        container="+".join(sorted({one.container for one in each.values()})),
        layouts=dict(layouts),
        kernels={
            f"{part}: {kernel}" if part else kernel: value
            for part, one in each.items()
            for kernel, value in one.kernels.items()
        },
        bytes_in_file=sum(one.bytes_in_file for one in each.values()),
        bytes_in_memory=sum(one.bytes_in_memory for one in each.values()),
        seconds=sum(one.seconds for one in each.values()),
        task=task,
        parts=each,
    )
