"""Which matrices of a model are quantized, and to what: decided from shapes, before any is read.

All matrices get the kind that is asked for, but routers and matrices of a few rows, which stay,
embeddings and output matrices, which get a larger one, and those of encoders of images, which get
one of 8 bits or stay. One whose columns do not fit the kind gets the next of the same quantizer
that they fit, or stays. A topology says otherwise for what it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod

from torch import nn

from tramontane.blocks import Embedding, MediaLM, StackedLinear
from tramontane.blocks.moe import Experts
from tramontane.blocks.routing import Router
from tramontane.checkpoint.checkpoint import Header
from tramontane.checkpoint.weight_map import Slot, Source
from tramontane.errors import UsageError

from .choose_kind import Runs, asked_kind, next_kinds, of_encoder, promoted
from .kinds import Kind, spelled
from .make_layer import can_make
from .topology import Topology

FEW_ROWS = 8
"""Matrices with fewer rows, such as the gate of a shared expert, gain nothing."""
OUTPUT, LANGUAGE = "lm_head", "model"
"""Where a language model has its matrices."""
ORGANIZATIONS = ("default", "moqe")


PERIOD = 128
"""Rows that a kind packs together, at most: it is tried out on as many and those left over."""


@dataclass(frozen=True)
class Asked:
    """What was asked for. isq: a kind or a number of bits; None: only what the topology says.
    organization: "moqe" quantizes experts only."""

    isq: str | int | None
    organization: str = "default"
    topology: Topology | None = None

    def __str__(self) -> str:
        named = [] if self.isq is None else [str(self.isq)]
        if self.topology is not None:
            named.append(str(self.topology.path))
        return ", ".join(named)


@dataclass
class Choices:
    """What becomes of each matrix, by its path in the model. promoted: those with a larger kind
    because they are sensitive. instead: those whose columns do not fit the kind. left: why those
    stay that stay."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    promoted: dict[str, Kind] = field(default_factory=dict)
    instead: dict[str, Kind] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def choose(
    asked: Asked,
    wanted: Mapping[str, Slot],
    stored: Mapping[str, set[str]],
    model: nn.Module,
    kinds: dict[str, Kind],
    runs: Runs,
) -> Choices:
    """wanted: the places of a model. stored: the types of the tensors of each. kinds, runs: what
    is installed, and what the backend has kernels for.

    Raises PluginNotInstalled for a kind that is not there, UsageError for experts of a model
    without any.
    """
    if asked.organization not in ORGANIZATIONS:
        raise UsageError(f"isq_organization {asked.organization!r} is not one of default, moqe")
    experts = _experts(model)
    if asked.organization == "moqe" and not experts:
        raise UsageError("the organization moqe quantizes experts, and this model has none")
    usual = None if asked.isq is None else asked_kind(asked.isq, kinds, runs)
    fits = cache(can_make)
    said = cache(lambda name: asked_kind(name, kinds, runs))
    choices = Choices()
    for path, slot in wanted.items():
        if not slot.packs:
            continue
        special = asked.topology.isq(path) if asked.topology is not None else None
        if special is not None:
            kind: Kind | None = said(special)
        elif usual is None:
            continue
        else:
            reason = _stays(path, slot, experts if asked.organization == "moqe" else None)
            if reason:
                choices.left[path] = reason
                continue
            kind = usual
            if _encodes(path, model):
                kind = of_encoder(usual, kinds.values(), runs)
                if kind is None:
                    choices.left[path] = "is an encoder's"
                    continue
                if kind is not usual:
                    choices.promoted[path] = kind
            if isinstance(slot.module, Embedding) or path.partition(".")[0] == OUTPUT:
                kind = promoted(usual, kinds.values(), runs)
                if kind is not usual:
                    choices.promoted[path] = kind
        assert kind is not None
        _settle(choices, path, slot.shape, kind, kinds, fits)
        final = choices.kinds.get(path)
        if final is not None and {spelled(name) for name in stored[path]} == {spelled(final.name)}:
            del choices.kinds[path]
            choices.left[path] = f"is {final.name} already"
    return choices


def _settle(
    choices: Choices,
    path: str,
    shape: tuple[int, ...],
    kind: Kind,
    kinds: dict[str, Kind],
    fits: Callable[[Kind, int, int], bool],
) -> None:
    """Give a matrix its kind, or the next that its columns and rows fit."""
    rows, columns = shape[0] % PERIOD + PERIOD, shape[-1]
    for each in (kind, *next_kinds(kind, kinds.values())):
        if fits(each, rows, columns):
            choices.kinds[path] = each
            if each is not kind:
                choices.instead[path] = each
                choices.promoted.pop(path, None)
            return
    choices.promoted.pop(path, None)
    columns_alone = fits(kind, PERIOD, columns)
    what = f"{shape[0]} rows" if columns_alone else f"{columns} columns"
    choices.left[path] = f"{what} do not fit {kind.name}"


def _stays(path: str, slot: Slot, only: set[str] | None) -> str:
    """Why a matrix is not quantized, or nothing."""
    if isinstance(slot.module, Router):
        return "routes"
    if only is not None and path.removesuffix(".weight") not in only:
        return "is no expert's"
    if slot.shape[0] < FEW_ROWS:
        return f"has {slot.shape[0]} rows"
    return ""


def _encodes(path: str, model: nn.Module) -> bool:
    """Whether a matrix belongs to an encoder of images, and not to the language model."""
    return isinstance(model, MediaLM) and path.partition(".")[0] not in (LANGUAGE, OUTPUT)


def _experts(model: nn.Module) -> set[str]:
    """Paths of the experts' matrices."""
    return {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if isinstance(module, Experts)
        for name, child in module.named_modules()
        if isinstance(child, StackedLinear)
    }


def types_stored(header: Header, sources: Mapping[str, Source]) -> dict[str, set[str]]:
    """The types of the tensors of each place."""
    return {
        path: {header.tensors[tensor].stored for tensor in source.tensors}
        for path, source in sources.items()
    }


def bytes_after(
    header: Header,
    sources: Mapping[str, Source],
    wanted: Mapping[str, Slot],
    kinds: Mapping[str, Kind],
) -> dict[str, tuple[str, int]]:
    """Kind and bytes of the tensors that become something else, for the memory plan: of a tensor
    in several places the sum, of several in one place its share."""
    users: dict[str, list[str]] = {}
    for path, source in sources.items():
        for tensor in source.tensors:
            users.setdefault(tensor, []).append(path)
    found = {}
    for tensor, paths in users.items():
        if not all(path in kinds for path in paths):
            continue  # the larger of both, as some of it stays
        size = sum(
            kinds[path].nbytes(prod(wanted[path].shape)) // len(sources[path].tensors)
            for path in paths
        )
        found[tensor] = (kinds[paths[0]].name, size)
    return found
