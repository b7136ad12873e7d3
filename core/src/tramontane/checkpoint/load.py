"""Load a model from an opened checkpoint: plan, build, fill, prepare, report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from typing import Any, cast

import torch
from torch import Tensor

from tramontane import memory
from tramontane.backend import Device
from tramontane.blocks import CausalLM, Embedding
from tramontane.config import DecoderConfig, read_config
from tramontane.devices import choose_device
from tramontane.engine.kv_cache import bytes_per_token
from tramontane.errors import CheckpointError, ConfigError, NotEnoughMemory
from tramontane.layouts import Dense, Layout, nbytes
from tramontane.plugin import Architecture, Quantizer, load
from tramontane.registry import Registry
from tramontane.rope_settings import overridden
from tramontane.stored import Stored

from .checkpoint import Checkpoint, Header, TensorInfo
from .read_ahead import read_ahead
from .rules import Rule
from .slots import Slot, Source, match, slots
from .straight import Place, place_of

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHORT_DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
KV_DTYPES = {**DTYPES, "int8": torch.int8}
KV_TYPES = {**SHORT_DTYPES, "int8": "int8"}
DENSE = {
    "f64", "f32", "f16", "bf16", "f8_e4m3", "f8_e5m2",
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2",
}  # fmt: skip
"""Names of unquantized types in containers and in torch."""

EMBEDDING = "model.embed_tokens.weight"
TIES = {"lm_head.weight": EMBEDDING}
Progress = Callable[[int, int], None]
"""(bytes done, total bytes)"""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Options of loading, for any model. dtype: auto, f32, bf16 or f16, of activations and dense
    weights; auto computes in the device's preferred type and keeps the weights' stored types."""

    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    activations: str = "auto"
    """Precision of activations in products with packed weights: with auto the backend may quantize
    them, with f32 it may not."""
    kv_type: str = "auto"
    """Keys and values: f32, bf16, f16 or int8, which is codes with a scale for each 32; auto is the
    backend's choice, unless dtype or activations request exact results."""
    num_ctx: int | None = None
    """Context in tokens; None: the model's own, as far as memory allows."""
    mmap: bool = True
    force: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Values of config.json to replace, such as rope_theta."""


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """How a checkpoint was loaded: passed to plugins, shown by `inspect` and `--verbose`."""

    path: str
    architecture: str
    container: str
    device: str
    dtype: str
    kv_dtype: str
    kv_bytes_per_token: int
    """Bytes of cache per token of context, all layers together, scales included."""
    layouts: Mapping[str, int]
    """Number of matrices by layout."""
    kernels: Mapping[str, str]
    bytes_in_file: int
    bytes_in_memory: int
    context_length: int
    seconds: float


@dataclass(frozen=True)
class Loaded:
    """A loaded model, and the facts about it that the engine needs."""

    model: CausalLM
    config: DecoderConfig
    device: Device
    dtype: torch.dtype
    kv_dtype: torch.dtype
    context_length: int
    report: LoadReport
    sample: Tensor
    """The first rows of the embedding as stored in the file, to identify the model."""


def load_model(
    checkpoint: Checkpoint,
    registry: Registry,
    options: LoadOptions,
    progress: Progress | None = None,
) -> Loaded:
    """Load a model from a checkpoint. Raises CheckpointError, PluginError, NotEnoughMemory."""
    started = time.perf_counter()
    header = checkpoint.header
    refuse_unread_quantization(header, registry)
    architecture = registry.get(Architecture, header.architecture)
    values = overridden(header.config, options.overrides)
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
    assign(checkpoint, model, config, architecture)  # report wrong shapes before too large ones
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
        bytes_in_file=sum(info.nbytes for info in header.tensors.values()),
        bytes_in_memory=sum(nbytes(weight) for weight in unique.values()),
        context_length=context,
        seconds=time.perf_counter() - started,
    )
    registry.tell("model_loaded", report=report)
    return Loaded(model, config, device, dtype, kv_dtype, context, report, sample)


def kv_dtype_of(options: LoadOptions, device: Device, dtype: str) -> str:
    """Storage type of keys and values. Raises ConfigError."""
    if options.kv_type != "auto":
        if options.kv_type not in KV_TYPES:
            names = ", ".join(KV_TYPES)
            raise ConfigError(f"kv_type {options.kv_type!r} is not one of auto, {names}")
        return KV_TYPES[options.kv_type]
    exact = options.dtype != "auto" or options.activations == "f32"
    return dtype if exact or device.kv_dtype is None else device.kv_dtype


def refuse_unread_quantization(header: Header, registry: Registry) -> None:
    """Raise an error if the checkpoint is quantized by a method that no plugin can read."""
    settings = header.config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return
    method = str(settings.get("quant_method", "unknown"))
    offer = registry.get(Quantizer, method)
    if offer.translate is None:
        raise CheckpointError(f"{header.path}: {method!r} cannot be read from safetensors")


def refuse_absurd_depth(header: Header, config: DecoderConfig) -> None:
    """Raise CheckpointError for far more layers than tensors, even if layers may share weights."""
    if config.num_hidden_layers > 64 + len(header.tensors):
        raise CheckpointError(
            f"{header.path}: num_hidden_layers={config.num_hidden_layers} cannot be, with "
            f"{len(header.tensors)} tensors in all"
        )


def build(architecture: Architecture, config: DecoderConfig) -> CausalLM:
    """Create the model on the meta device: shapes, no weights."""
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
    """The context length that fits into memory. Raises NotEnoughMemory; reads no weight."""
    weights = sum(in_memory(info, dtype, options) for info in header.tensors.values())
    widest = max((info.nbytes for info in header.tensors.values()), default=0)
    per_token = bytes_per_token(model, kv_dtype)
    trained = model.cfg.max_position_embeddings
    context = options.num_ctx or min(trained, DEFAULT_CONTEXT)
    if options.num_ctx is not None and options.num_ctx <= 0:
        raise ConfigError(f"a context of {options.num_ctx} tokens is too short")
    free = device.memory_free
    # in addition to the weights: converting the largest tensor, and a batch of logits
    overhead = widest + 512 * model.cfg.vocab_size * 4 + (64 << 20)
    available = free - weights - overhead
    if options.force or available >= context * per_token:
        return context
    if options.num_ctx is None and available >= min(512, context) * per_token:
        return max(16, available // per_token // 16 * 16)
    need = weights + overhead + context * per_token
    smaller = "" if kv_dtype == torch.int8 else ", --kv-type int8"
    raise NotEnoughMemory(
        f"{header.path} needs {memory.readable(need)} ({memory.readable(weights)} of weights, "
        f"{memory.readable(context * per_token)} for a context of {context}), and "
        f"{memory.readable(free)} are free on {device.name}; use a smaller quantization, a shorter "
        f"context (--num-ctx){smaller}, or --force to try all the same"
    )


def in_memory(info: TensorInfo, dtype: torch.dtype, options: LoadOptions) -> int:
    """Bytes of a loaded tensor: dense ones are converted if a dtype is requested."""
    if options.dtype == "auto" or info.stored.lower() not in DENSE:
        return info.nbytes
    return prod(info.shape) * dtype.itemsize


DEFAULT_CONTEXT = 8192
"""Maximum context in tokens without `num_ctx`: a cache for 128k tokens is rarely needed."""


def assign(
    checkpoint: Checkpoint, model: CausalLM, config: DecoderConfig, architecture: Architecture
) -> tuple[dict[str, Slot], dict[str, Source], dict[str, str]]:
    """All parameters, the source of each, and the parameters tied to another one.

    Raises CheckpointError if names and shapes do not match exactly; reads no weight.
    """
    wanted = slots(model)
    ties = {tied: to for tied, to in TIES.items() if config.tie_word_embeddings and tied in wanted}
    for tied in ties:
        del wanted[tied]
    rules = rules_of(architecture, config, checkpoint.header.dialect)
    return wanted, match(checkpoint.header, model, rules, checkpoint.names, ties), ties


def rules_of(architecture: Architecture, config: DecoderConfig, dialect: str) -> list[Rule]:
    """An architecture's rules for a naming scheme."""
    table = load(architecture.weights) if architecture.weights else {}
    dialects: Mapping[str, list[Rule]] = table(config) if callable(table) else table
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
    """Load all tensors into the model; returns the first rows of the embedding, in float32.

    Raises CheckpointError if tensors and parameters do not match exactly.
    """
    header, place = checkpoint.header, place or Place()
    wanted, sources, ties = assign(checkpoint, model, config, architecture)
    # parameters that come from the same tensors are grouped, so that each tensor is read once
    by_tensors: dict[tuple[str, ...], list[str]] = {}
    for path, source in sources.items():
        by_tensors.setdefault(source.tensors, []).append(path)
    total = sum(header.tensors[tensor].nbytes for tensors in by_tensors for tensor in tensors)
    done = 0
    sample = torch.empty(0)
    if progress is not None:
        progress(0, total)
    for module in model.modules():
        if isinstance(module, Embedding):
            module.dtype = dtype
    on_disk: dict[str, Stored] = {}
    for path, source in sources.items():
        if wanted[path].packs and not wanted[path].stacked and len(source.pieces) == 1:
            ((tensor, steps),) = source.pieces
            stored = place.stored(checkpoint, tensor, [step.rule for step in steps])
            if stored is not None:
                on_disk[path] = cast("Stored", source.make({tensor: cast("Layout", stored)}, model))
    if place.foresee is not None:
        tied_too = {tied: on_disk[to] for tied, to in ties.items() if to in on_disk}
        place.foresee(model, {**on_disk, **tied_too})
    unread = on_disk if place.reads else {}
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
        paths = [path for path in by_tensors[tensors] if path not in unread]
        try:
            return {path: sources[path].make(held, model) for path in paths}
        except ValueError as error:  # shapes match, so the stored data is wrong
            raise CheckpointError(f"{header.path}: {tensors[0]}: {error}") from error

    rest = [tensors for tensors, paths in by_tensors.items() if not unread.keys() >= set(paths)]
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
        uncounted = set(sources[path].tensors) - counted
        counted |= uncounted
        done += sum(header.tensors[tensor].nbytes for tensor in uncounted)
        if progress is not None:
            progress(done, total)
    for tied, to in ties.items():
        module, original = (model.get_submodule(p.rpartition(".")[0]) for p in (tied, to))
        module.weight = original.weight
    return sample
