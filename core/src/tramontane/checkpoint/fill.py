"""Filling: which tensors belong to which place, and putting them there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import cast

import torch
from torch import Tensor

from tramontane.block_format import Stored
from tramontane.blocks import CausalLM, Embedding
from tramontane.config import DecoderConfig
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout, contiguous
from tramontane.plugin import Architecture, load
from tramontane.quantizing.in_place import Quantizing

from .checkpoint import DENSE, Checkpoint
from .fast_load import Place
from .load_options import LoadOptions, Progress
from .prefetch import read_ahead
from .rules import Rule
from .weight_map import Slot, Source, match, slots

EMBEDDING = "model.embed_tokens.weight"
TIES = {"lm_head.weight": EMBEDDING}


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
    quantizing: Quantizing | None = None,
) -> Tensor:
    """Put every tensor where it belongs; returns some of the embedding as it was in the file.

    quantizing: what becomes of some of the matrices; None: all stay as they are stored.

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
    compute_in(model, dtype)
    made = quantizing if quantizing is not None else ()
    lying: dict[str, Stored] = {}
    for path, source in sources.items():
        if path in made:
            continue
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
            return {path: contiguous(make(path, held)) for path in paths}
        except ValueError as error:  # shapes fit, so it is how they are stored
            raise CheckpointError(f"{header.path}: {tensors[0]}: {error}") from error

    def make(path: str, held: dict[str, Layout]) -> Layout:
        if quantizing is None or path not in quantizing:
            return sources[path].make(held, model)
        return quantizing.make(path, sources[path].parts(held, model))

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
            if not options.mmap and path not in made:
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
    tie(model, ties)
    return sample


def compute_in(model: CausalLM, dtype: torch.dtype) -> None:
    """The type that a model computes in, which is that of its embeddings' results."""
    for module in model.modules():
        if isinstance(module, Embedding):
            module.dtype = dtype


def tie(model: CausalLM, ties: Mapping[str, str]) -> None:
    """Let places have the weights of others."""
    for tied, to in ties.items():
        module, original = (model.get_submodule(p.rpartition(".")[0]) for p in (tied, to))
        module.weight = original.weight
