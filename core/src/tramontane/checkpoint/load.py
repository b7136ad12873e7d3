"""From an opened checkpoint to a model that is ready: plan, build, fill, prepare, report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any, cast

import torch
from torch import Tensor

from tramontane import memory
from tramontane.backend import Device
from tramontane.block_format import Stored
from tramontane.blocks import CausalLM, Embedding
from tramontane.config import DecoderConfig, read_config
from tramontane.config.rope_settings import overridden
from tramontane.engine.kv_cache import bytes_per_token
from tramontane.engine.kv_codes import INT4
from tramontane.errors import CheckpointError, ConfigError, NotEnoughMemory
from tramontane.layouts import Dense, Layout, contiguous, nbytes
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.system.devices import choose_device

from .checkpoint import Checkpoint, Header, TensorInfo
from .choose_quantizer import quantizer_of
from .fast_load import Place, place_of
from .load_options import LoadOptions, LoadReport, Progress
from .metadata import fields_of
from .prefetch import read_ahead
from .quantized_layers import QuantizedCheckpoint
from .rules import Rule
from .weight_map import Slot, Source, match, slots

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
SMALLER = {
    INT4: "",
    **dict.fromkeys((torch.int8, torch.float8_e4m3fn, torch.float8_e5m2), ", --kv-type int4"),
}
"""What a refusal recommends; int8 where nothing is said."""
DENSE = {
    "f64", "f32", "f16", "bf16", "f8_e4m3", "f8_e5m2",
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2",
}  # fmt: skip
"""Plain numbers, as containers and torch call them."""

EMBEDDING = "model.embed_tokens.weight"
TIES = {"lm_head.weight": EMBEDDING}


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


def load_model(
    checkpoint: Checkpoint,
    registry: Registry,
    options: LoadOptions,
    progress: Progress | None = None,
) -> Loaded:
    """Fill a model from a checkpoint. Raises CheckpointError, PluginError, NotEnoughMemory."""
    started = time.perf_counter()
    header = checkpoint.header
    bytes_in_file = sum(info.nbytes for info in header.tensors.values())
    quantizer = quantizer_of(header, registry)
    architecture = registry.get(Architecture, header.architecture)
    values = overridden(fields_of(architecture, header), options.overrides)
    config = cast("DecoderConfig", read_config(load(architecture.config), values))
    device, backend = choose_device(options.device, registry)
    dtype_name = device.dtype if options.dtype == "auto" else SHORT_DTYPES.get(options.dtype)
    if dtype_name not in DTYPES:
        raise ConfigError(f"dtype {options.dtype!r} is not one of auto, f32, bf16, f16")
    if options.activations not in ("auto", "f32"):
        raise ConfigError(f"activations {options.activations!r} is not one of auto, f32")
    dtype = DTYPES[dtype_name]
    kv_dtype_name = kv_dtype_of(options, device, dtype_name)
    kv_dtype = KV_DTYPES[kv_dtype_name]
    refuse_absurd_depth(header, config)
    model = build(architecture, config)
    if quantizer is not None:
        rules = rules_of(architecture, config, header.dialect)
        checkpoint = QuantizedCheckpoint(checkpoint, *quantizer, model, rules)
        header = checkpoint.header
    assign(checkpoint, model, config, architecture)  # a wrong size is told before a large one
    context = plan(header, model, device, dtype, kv_dtype, options)
    place = place_of(backend, device, options, kv_dtype)
    sample = fill(checkpoint, model, config, architecture, dtype, options, progress, place)
    kernels: Mapping[str, str] = {}
    if backend is not None:
        kernels = load(backend.prepare)(model, device, options.threads, options.activations)
    elif options.threads is not None:
        torch.set_num_threads(options.threads)
    matrices = [m for m in model.modules() if hasattr(m, "kernel") and hasattr(m, "weight")]
    unique = {id(m.weight): cast("Any", m.weight) for m in matrices}
    report = LoadReport(
        path=str(header.path),
        architecture=header.architecture,
        container=header.container,
        device=device.name,
        dtype=dtype_name,
        kv_dtype=kv_dtype_name,
        kv_bytes_per_token=bytes_per_token(model, kv_dtype),
        layouts=dict(Counter(weight.kind for weight in unique.values())),
        kernels=kernels,
        bytes_in_file=bytes_in_file,
        bytes_in_memory=sum(nbytes(weight) for weight in unique.values()),
        context_length=context,
        seconds=time.perf_counter() - started,
    )
    registry.tell("model_loaded", report=report)
    return Loaded(model, config, device, dtype, kv_dtype, context, report, sample)


def kv_dtype_of(options: LoadOptions, device: Device, dtype: str) -> str:
    """What keys and values are kept in. Raises ConfigError."""
    if options.kv_type != "auto":
        if options.kv_type not in KV_TYPES:
            names = ", ".join(KV_TYPES)
            raise ConfigError(f"kv_type {options.kv_type!r} is not one of auto, {names}")
        return KV_TYPES[options.kv_type]
    exact = options.dtype != "auto" or options.activations == "f32"
    return dtype if exact or device.kv_dtype is None else device.kv_dtype


def refuse_absurd_depth(header: Header, config: DecoderConfig) -> None:
    """Layers may share their weights, but thousands of layers do not come from a few tensors."""
    if config.num_hidden_layers > 64 + len(header.tensors):
        raise CheckpointError(
            f"{header.path}: num_hidden_layers={config.num_hidden_layers} cannot be, with "
            f"{len(header.tensors)} tensors in all"
        )


def build(architecture: Architecture, config: DecoderConfig) -> CausalLM:
    """The model with its shapes and no weights."""
    with torch.device("meta"):
        model: CausalLM = load(architecture.model)(config)
    return model.eval()


def plan(
    header: Header,
    model: CausalLM,
    device: Device,
    dtype: torch.dtype,
    kv_dtype: torch.dtype,
    options: LoadOptions,
) -> int:
    """Context length that fits. Raises NotEnoughMemory before a weight is read."""
    weights = sum(in_memory(info, dtype, options) for info in header.tensors.values())
    widest = max((in_memory(info, dtype, options) for info in header.tensors.values()), default=0)
    per_token = bytes_per_token(model, kv_dtype)
    trained = model.cfg.max_position_embeddings
    asked = options.num_ctx or min(trained, DEFAULT_CONTEXT)
    if options.num_ctx is not None and options.num_ctx <= 0:
        raise ConfigError(f"a context of {options.num_ctx} tokens is too short")
    free = device.memory_free
    # beside the weights: what translating the widest tensor takes, and the last layer's logits
    overhead = widest + 512 * model.cfg.vocab_size * 4 + (64 << 20)
    room = free - weights - overhead
    if options.force or room >= asked * per_token:
        return asked
    if options.num_ctx is None and room >= min(512, asked) * per_token:
        return max(16, room // per_token // 16 * 16)
    need = weights + overhead + asked * per_token
    smaller = SMALLER.get(kv_dtype, ", --kv-type int8")
    raise NotEnoughMemory(
        f"{header.path} needs {memory.readable(need)} ({memory.readable(weights)} of weights, "
        f"{memory.readable(asked * per_token)} for a context of {asked}), and "
        f"{memory.readable(free)} are free on {device.name}; use a smaller quantization, a shorter "
        f"context (--num-ctx){smaller}, or --force to try all the same"
    )


def in_memory(info: TensorInfo, dtype: torch.dtype, options: LoadOptions) -> int:
    """Bytes of a tensor once it is loaded: dense ones are converted when a dtype is asked for."""
    if options.dtype == "auto" or info.stored.lower() not in DENSE:
        return info.nbytes if info.in_memory is None else info.in_memory
    return prod(info.shape) * dtype.itemsize


DEFAULT_CONTEXT = 8192
"""Tokens of context when nobody asks for more: 128k of cache is not what a first try needs."""


def assign(
    checkpoint: Checkpoint, model: CausalLM, config: DecoderConfig, architecture: Architecture
) -> tuple[dict[str, Slot], dict[str, Source], dict[str, str]]:
    """Every place, what fills it, and which places share another's weight.

    Raises CheckpointError when names and shapes do not fit exactly; reads no weight.
    """
    wanted = slots(model)
    ties = {tied: to for tied, to in TIES.items() if config.tie_word_embeddings and tied in wanted}
    for tied in ties:
        del wanted[tied]
    rules = rules_of(architecture, config, checkpoint.header.dialect)
    return wanted, match(checkpoint.header, model, rules, checkpoint.names, ties), ties


def rules_of(architecture: Architecture, config: DecoderConfig, dialect: str) -> list[Rule]:
    """An architecture's rules for a dialect of names."""
    told = load(architecture.weights) if architecture.weights else {}
    dialects: Mapping[str, list[Rule]] = told(config) if callable(told) else told
    return dialects.get(dialect, [])


def fill(
    checkpoint: Checkpoint,
    model: CausalLM,
    config: DecoderConfig,
    architecture: Architecture,
    dtype: torch.dtype,
    options: LoadOptions,
    progress: Progress | None = None,
    place: Place | None = None,
) -> Tensor:
    """Put every tensor where it belongs; returns some of the embedding as it was in the file.

    Raises CheckpointError when they do not fit exactly.
    """
    header, place = checkpoint.header, place or Place()
    wanted, sources, ties = assign(checkpoint, model, config, architecture)
    # places that are filled from the same tensors are filled together, so that each is read once
    together: dict[tuple[str, ...], list[str]] = {}
    for path, source in sources.items():
        together.setdefault(source.tensors, []).append(path)
    total = sum(header.tensors[tensor].nbytes for tensors in together for tensor in tensors)
    done = 0
    sample = torch.empty(0)
    if progress is not None:
        progress(0, total)
    for module in model.modules():
        if isinstance(module, Embedding):
            module.dtype = dtype
    lying: dict[str, Stored] = {}
    for path, source in sources.items():
        if wanted[path].packs and not wanted[path].stacked and len(source.pieces) == 1:
            ((tensor, steps),) = source.pieces
            stored = place.stored(checkpoint, tensor, [step.rule for step in steps])
            if stored is not None:
                lying[path] = cast("Stored", source.make({tensor: cast("Layout", stored)}, model))
    if place.foresee is not None:
        tied_too = {tied: lying[to] for tied, to in ties.items() if to in lying}
        place.foresee(model, {**lying, **tied_too})
    unread = lying if place.reads else {}
    if EMBEDDING in unread:
        sample = unread[EMBEDDING].rows(slice(0, 8)).decode(torch.float32)

    def read(tensors: tuple[str, ...]) -> dict[str, Layout]:
        held = {tensor: checkpoint.read(tensor) for tensor in tensors}
        for tensor, layout in held.items():
            if isinstance(layout, Dense) and layout.kind not in DENSE:
                raise CheckpointError(
                    f"{header.path}: {tensor} holds {layout.kind}, which are no plain weights; "
                    "a quantized model says how in quantization_config"
                )
        paths = [path for path in together[tensors] if path not in unread]
        try:
            return {path: contiguous(sources[path].make(held, model)) for path in paths}
        except ValueError as error:  # shapes fit, so it is how they are stored
            raise CheckpointError(f"{header.path}: {tensors[0]}: {error}") from error

    rest = [tensors for tensors, paths in together.items() if not unread.keys() >= set(paths)]
    read_now = (
        (path, layout, False)
        for _, layouts in read_ahead(read, rest)
        for path, layout in layouts.items()
    )
    counted: set[str] = set()
    for path, layout, finished in chain(place.translated(unread), read_now):
        if not finished:
            if isinstance(layout, Dense) and options.dtype != "auto":
                layout = Dense(layout.data.to(dtype))
            if not options.mmap:
                layout = layout.map(torch.clone)
            if path == EMBEDDING:
                sample = layout.rows(slice(0, 8)).decode(torch.float32)
            if place.pack is not None and wanted[path].packs and not wanted[path].stacked:
                layout = place.pack(layout)
        wanted[path].put(layout, dtype)
        fresh = set(sources[path].tensors) - counted
        counted |= fresh
        done += sum(header.tensors[tensor].nbytes for tensor in fresh)
        if progress is not None:
            progress(done, total)
    for tied, to in ties.items():
        module, original = (model.get_submodule(p.rpartition(".")[0]) for p in (tied, to))
        module.weight = original.weight
    return sample
