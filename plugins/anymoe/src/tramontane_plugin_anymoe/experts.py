"""Experts: the feed-forward halves of fine-tuned models, or LoRA adapters of the model's own.

An expert is read by the rules by which its family's weights are, so that fused, split, transposed
and packed matrices need nothing here. Of a fine-tuned model only the halves of the layers that have
experts are read.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tramontane import memory
from tramontane.adapters.adapter import Adapter
from tramontane.adapters.host import Host
from tramontane.adapters.stored import Delta
from tramontane.blocks import Linear
from tramontane.checkpoint.build import Built, build_for
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import AdapterError, ModelNotFound, NotEnoughMemory
from tramontane.hub.options import HubOptions
from tramontane.layouts import Layout, contiguous, nbytes
from tramontane.model.source import find_adapter, find_model
from tramontane.plugin import AdapterForm, load
from tramontane.sanitize import one_line

from .halves import Half

log = logging.getLogger(__name__)
SAMPLED = 16
"""Rows of a matrix by which it is known."""


@dataclass(frozen=True)
class Expert:
    """One expert in the layers that have any, by these layers' numbers. deltas: what it adds to
    matrices, by their paths. layers: matrices in the places of the model's, by their paths."""

    source: str
    digest: bytes
    deltas: Mapping[int, Mapping[str, tuple[tuple[int | None, Delta], ...]]] = field(
        default_factory=dict
    )
    layers: Mapping[int, Mapping[str, Linear]] = field(default_factory=dict)
    nbytes: int = 0


def read_expert(
    source: str,
    host: Host,
    halves: Sequence[Half],
    *,
    target_modules: Sequence[str] | None = None,
    hub: HubOptions | None = None,
) -> Expert:
    """An adapter where the folder or file is one, else a model. target_modules: the names of the
    matrices of an adapter that count; None: all of a half's.

    Raises AdapterError, CheckpointError, ModelNotFound, NotEnoughMemory.
    """
    path, form = _found(source, host, hub or HubOptions())
    if form is not None:
        return _read_adapter(path, form, host, halves, target_modules)
    with _opened(path, host, halves) as (built, need):
        if need > memory.free():
            raise NotEnoughMemory(
                f"the expert {path} takes {memory.readable(need)} in {len(halves)} layers, and "
                f"{memory.readable(memory.free())} are free; give experts to fewer layers "
                "(--layers), or use one with smaller weights"
            )
        layers, told, size = _filled(built, host, halves)
    return Expert(str(path), told, layers=layers, nbytes=size)


def check_expert(
    source: str,
    host: Host,
    halves: Sequence[Half],
    *,
    target_modules: Sequence[str] | None = None,
    hub: HubOptions | None = None,
) -> None:
    """Raises what `read_expert` would; of a model, only the header is read."""
    path, form = _found(source, host, hub or HubOptions())
    if form is not None:
        _read_adapter(path, form, host, halves, target_modules)
        return
    with _opened(path, host, halves):
        pass


def _found(source: str, host: Host, hub: HubOptions) -> tuple[Path, AdapterForm | None]:
    if source in host.registry.names("models"):
        return find_model(source, host.registry, hub), None
    try:
        path = find_adapter(source, hub)
    except ModelNotFound as error:
        raise ModelNotFound(
            f"no expert {one_line(source, 120)!r}: there is no such file or folder here, and it is "
            "not a hub id, which looks like org/name"
        ) from error
    return path, _form(path, host)


def _form(path: Path, host: Host) -> AdapterForm | None:
    """The form of adapters that a path has, if it is one and no model."""
    forms = [form for form in host.registry.all(AdapterForm) if form.read is not None]
    if path.is_dir():
        there = {each.name for each in path.iterdir()}
        if "config.json" in there:
            return None
        return next((form for form in forms if there.intersection(form.files)), None)
    for form in forms:
        if any(fnmatchcase(path.name, pattern) for pattern in form.files) and _is_adapter(path):
            return form
    return None


def _is_adapter(path: Path) -> bool:
    """Of a container file in which there may be either: whether it says that it is an adapter."""
    with path.open("rb") as file:
        return b"adapter.type" in file.read(1 << 20)


def _read_adapter(
    path: Path,
    form: AdapterForm,
    host: Host,
    halves: Sequence[Half],
    target_modules: Sequence[str] | None,
) -> Expert:
    adapter: Adapter = host.fit(load(form.read or "")(path), name=path.name, source=str(path))
    deltas: dict[int, dict[str, tuple[tuple[int | None, Delta], ...]]] = {}
    used: set[str] = set()
    for half in halves:
        here = {
            each: adapter.deltas[each] for each in half.paths
            if each in adapter.deltas
            and (target_modules is None or each.rpartition(".")[2] in target_modules)
        }  # fmt: skip
        replaced = [
            name for name in adapter.values if name.rpartition(".")[0] in half.paths
        ]  # fmt: skip
        if replaced:
            raise AdapterError(
                f"{path} replaces {replaced[0]}: an expert is an adapter that only adds to "
                "matrices, or a whole model"
            )
        deltas[half.layer] = here
        used |= here.keys()
    if not used:
        modules = ", ".join(target_modules or halves[0].modules)
        numbers = ", ".join(str(half.layer) for half in halves)
        raise AdapterError(
            f"{path} changes nothing of {modules} in the layers {numbers}, which are to have "
            "experts"
        )
    if others := (adapter.deltas.keys() | adapter.values.keys() | adapter.rows.keys()) - used:
        log.warning(
            "%s changes %d modules that are not of the experts' layers, such as %s: these changes "
            "do not count", path, len(others), min(others),
        )  # fmt: skip
    told = hashlib.blake2b(adapter.digest, digest_size=32)
    told.update(repr(sorted(used)).encode())
    return Expert(str(path), told.digest(), deltas=deltas, nbytes=adapter.nbytes)


@contextmanager
def _opened(path: Path, host: Host, halves: Sequence[Half]) -> Iterator[tuple[Built, int]]:
    """A model whose halves fit, and the bytes that these take."""
    checkpoint = open_checkpoint(path, host.registry)
    try:
        own = host.architecture.name
        if (theirs := checkpoint.header.architecture) not in (own, *host.architecture.aliases):
            raise AdapterError(
                f"{path} is a {theirs}, and the model a {own}: experts are of its own architecture"
            )
        built = build_for(checkpoint, host.registry)
        places = _places(path, built, host, halves)
        tensors = {tensor for place in places for tensor in built.sources[place].tensors}
        yield built, sum(built.checkpoint.header.tensors[each].held for each in tensors)
    finally:
        checkpoint.close()


def _places(path: Path, built: Built, host: Host, halves: Sequence[Half]) -> list[str]:
    """Paths of the parameters that are read."""
    found = []
    for half in halves:
        for module in half.paths:
            own: Any = host.model.get_submodule(module)
            for name in ("weight", "bias"):
                place, mine = f"{module}.{name}", getattr(own, name)
                slot = built.wanted.get(place)
                shape = None if mine is None else tuple(mine.shape)
                if (None if slot is None else tuple(slot.shape)) != shape:
                    said = "none" if slot is None else f"{tuple(slot.shape)}"
                    raise AdapterError(
                        f"{path} does not fit the model: of {place} it has {said}, and the model "
                        f"{shape or 'none'}; experts have the sizes of the model"
                    )
                if slot is not None:
                    found.append(place)
    return found


def _filled(
    built: Built, host: Host, halves: Sequence[Half]
) -> tuple[dict[int, dict[str, Linear]], bytes, int]:
    """Each layer's matrices, what they are known by, and their bytes."""
    told, size = hashlib.blake2b(digest_size=32), 0
    layers: dict[int, dict[str, Linear]] = {}
    for half in halves:
        held: dict[str, Layout] = {}  # parts of a fused matrix are read once

        def made(place: str, held: dict[str, Layout] = held) -> Layout:
            for tensor in built.sources[place].tensors:
                if tensor not in held:
                    held[tensor] = built.checkpoint.read(tensor)
            return contiguous(built.sources[place].make(held, built.model))

        here = layers.setdefault(half.layer, {})
        for path in half.paths:
            own: Any = host.model.get_submodule(path)
            weight = made(f"{path}.weight")
            rows = torch.linspace(0, weight.shape[0] - 1, SAMPLED).long()
            told.update(f"{path} {weight.kind} {weight.shape}".encode())
            told.update(weight.rows(rows).decode(torch.float32).contiguous().numpy().tobytes())
            bias = None
            if own.bias is not None:
                bias = made(f"{path}.bias").decode(own.bias.dtype).clone()
                told.update(bias.float().numpy().tobytes())
            here[path] = _linear(host.bind, weight, bias)
            size += nbytes(here[path].weight) + (0 if bias is None else bias.nbytes)
    return layers, told.digest(), size


def _linear(
    bind: Callable[[Layout], tuple[Layout, Any]], weight: Layout, bias: torch.Tensor | None
) -> Linear:
    with torch.device("meta"):
        layer = Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.kernel = bind(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer
