"""Filling: which tensors belong to which place, and putting them there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Protocol, cast

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

if TYPE_CHECKING:
    from tramontane.parallel.share import Share

EMBEDDING = "model.embed_tokens.weight"
TIES = {"lm_head.weight": EMBEDDING}


def assign(
    checkpoint: Checkpoint,
    model: CausalLM,
    config: DecoderConfig,
    architecture: Architecture,
    rules: Sequence[Rule] | None = None,
) -> tuple[dict[str, Slot], dict[str, Source], dict[str, str]]:
    """Every place, what fills it, and which places share another's weight. rules: instead of the
    architecture's.

    Raises CheckpointError when names and shapes do not fit exactly; reads no weight.
    """
    wanted = slots(model)
    told = TIES if getattr(config, "tie_word_embeddings", False) else {}
    told = getattr(model, "ties", told)
    ties = {tied: to for tied, to in told.items() if tied in wanted}
    for tied in ties:
        del wanted[tied]
    if rules is None:
        rules = rules_of(architecture, config, checkpoint.header.dialect)
    return wanted, match(checkpoint.header, model, rules, checkpoint.names, ties), ties


def rules_of(architecture: Architecture, config: DecoderConfig, dialect: str) -> list[Rule]:
    """An architecture's rules for a dialect of names."""
    told = load(architecture.weights) if architecture.weights else {}
    dialects: Mapping[str, list[Rule]] = told(config) if callable(told) else told
    return dialects.get(dialect, [])


class Merging(Protocol):
    """Adapters that become part of the weights, see `tramontane.adapters.merging`."""

    unties: bool
    """Whether the output matrix and the embedding become two."""

    def __contains__(self, path: str) -> bool:
        """Whether a weight is changed."""

    def change(self, path: str, layout: Layout, *, packed_later: bool = False) -> Layout:
        """A weight with what is added to it. packed_later: it is quantized next."""


def fill(
    checkpoint: Checkpoint,
    model: CausalLM,
    config: DecoderConfig,
    architecture: Architecture,
    dtype: torch.dtype,
    options: LoadOptions,
    progress: Progress | None = None,
    place: Place | Callable[[str], Place] | None = None,
    quantizing: Quantizing | None = None,
    merging: Merging | None = None,
    rules: Sequence[Rule] | None = None,
    share: Share | None = None,
) -> Tensor:
    """Put every tensor where it belongs; returns some of the embedding as it was in the file.

    place: of all weights, or what says it of each by its path. quantizing: what becomes of some of
    the matrices; None: all stay as they are stored.
    merging: adapters that the weights are changed by. rules: instead of the architecture's.
    share: what this rank has of the model, which is cut to it; None: all.

    Raises CheckpointError when they do not fit exactly.
    """
    header, only = checkpoint.header, place if isinstance(place, Place) else Place()
    at = place if callable(place) else lambda path: only
    whole = model if share is None else share.whole
    wanted, sources, ties = assign(checkpoint, whole, config, architecture, rules)
    copied: dict[str, str] = {}
    cuts = {} if share is None else share.cuts
    if share is not None:
        mine = slots(model)
        wanted = {path: mine[path] for path in wanted}
        for tied in [each for each in ties if each in cuts]:  # it shares no weight here
            to = ties.pop(tied)
            wanted[tied], sources[tied] = mine[tied], sources[to]
            copied[tied] = to
    if merging is not None and merging.unties:  # each is filled by itself
        every = slots(model)
        copied |= ties
        for tied, to in ties.items():
            wanted[tied], sources[tied] = every[tied], sources[to]
        ties = {}
    # places that are filled from the same tensors are filled together, so that each is read once
    together: dict[tuple[str, ...], list[str]] = {}
    for path, source in sources.items():
        together.setdefault(source.tensors, []).append(path)
    total = sum(header.tensors[tensor].nbytes for tensors in together for tensor in tensors)
    done = 0
    sample = torch.empty(0)
    if progress is not None:
        progress(0, total)
    compute_in(model, lambda path: at(path).dtype or dtype)
    made = quantizing if quantizing is not None else ()
    lying: dict[str, Stored] = {}
    for path, source in sources.items():
        if copied.get(path, path) in made or (merging is not None and path in merging):
            continue
        if wanted[path].packs and not wanted[path].stacked and len(source.pieces) == 1:
            ((tensor, steps),) = source.pieces
            stored = at(path).stored(checkpoint, tensor, [step.rule for step in steps])
            if stored is not None:
                found = cast("Stored", source.make({tensor: cast("Layout", stored)}, whole))
                lying[path] = found if path not in cuts else cuts[path].stored(found)
    tied_too = {tied: lying[to] for tied, to in ties.items() if to in lying}
    for one, there in _by_place({**lying, **tied_too}, at, [only, *map(at, wanted)]):
        if one.foresee is not None:
            one.foresee(model if one.part is None else one.part, there)
    unread = {path: stored for path, stored in lying.items() if at(path).reads}
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
        planned = copied.get(path, path)
        quantizes = planned in made
        if merging is not None and path in merging:
            before = sources[path].make(held, whole)
            changed = merging.change(path, before, packed_later=quantizes)
            parts = [changed]
        elif quantizes:
            parts = sources[path].parts(held, whole)
        else:
            return sources[path].make(held, whole, cuts.get(path))
        if quantizing is not None and quantizes:
            parts = [quantizing.make(planned, parts)]
        return parts[0] if path not in cuts else cuts[path].of(parts)[0]

    rest = [tensors for tensors, paths in together.items() if not unread.keys() >= set(paths)]
    read_now = (
        (path, layout, False)
        for _, layouts in read_ahead(read, rest)
        for path, layout in layouts.items()
    )
    counted: set[str] = set()
    directly = (one.translated(there) for one, there in _by_place(unread, at, ()))
    for path, layout, finished in chain(*directly, read_now):
        here = at(path)
        if not finished:
            if isinstance(layout, Dense) and options.dtype != "auto":
                layout = Dense(layout.data.to(here.dtype or dtype))
            if not options.mmap and path not in made:
                layout = layout.map(torch.clone)
            if path == EMBEDDING:
                sample = layout.rows(slice(0, 8)).decode(torch.float32)
            layout = here.there(layout)
            if here.pack is not None and wanted[path].packs and not wanted[path].stacked:
                layout = here.pack(layout)
        wanted[path].put(layout, here.dtype or dtype)
        fresh = set(sources[path].tensors) - counted
        counted |= fresh
        done += sum(header.tensors[tensor].nbytes for tensor in fresh)
        if progress is not None:
            progress(done, total)
    tie(model, ties)
    return sample


def compute_in(model: CausalLM, dtype: Callable[[str], torch.dtype]) -> None:
    """Set the type that a model computes in, which is that of its embeddings' results. dtype: by a
    module's path."""
    for path, module in model.named_modules():
        if isinstance(module, Embedding):
            module.dtype = dtype(path)


def tie(model: CausalLM, ties: Mapping[str, str]) -> None:
    """Let places have the weights of others."""
    for tied, to in ties.items():
        module, original = (model.get_submodule(p.rpartition(".")[0]) for p in (tied, to))
        module.weight = original.weight


def _by_place(
    stored: Mapping[str, Stored], at: Callable[[str], Place], empty: Iterable[Place]
) -> list[tuple[Place, dict[str, Stored]]]:
    """Each place with those that are there; places of `empty` also without any."""
    found: dict[int, tuple[Place, dict[str, Stored]]] = {id(one): (one, {}) for one in empty}
    for path, each in stored.items():
        found.setdefault(id(at(path)), (at(path), {}))[1][path] = each
    return list(found.values())
