"""Fitting a stored mixture of adapters to a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from tramontane import memory
from tramontane.checkpoint.rules import Rule
from tramontane.errors import AdapterError
from tramontane.sanitize import one_line

from .adapter import Adapter, Where
from .fit import Fit
from .kernels import Multiply
from .mixture import Mixture, is_plain
from .prompted import Part
from .stored import Delta, StoredAdapter
from .stored_mixture import MixtureOptions, StoredMixture

IN_LAYER = re.compile(r"(?P<layer>.*?\.\d+)\.(?P<name>.*)\.weight")
MOST_FROZEN = 1_000_000
"""Tokens of an answer."""


def fit_mixture(
    stored: StoredMixture,
    model: nn.Module,
    rules_for: Callable[[str], Sequence[Rule]],
    kernels: Mapping[str, Callable[..., Any]],
    multiply: Multiply,
    where: Where | None = None,
    *,
    architecture: str,
    hidden: int,
    name: str,
    source: str,
    options: MixtureOptions,
) -> Mixture:
    """rules_for: the architecture's, by dialect. kernels, multiply, where: as of `Applied`.
    architecture: the offer's name. hidden: numbers of the model's hidden states.

    Raises AdapterError for what does not fit, or is more than pairs of narrow matrices beside
    linear layers.
    """
    classifier, after = stored.classifier, options.frozen_after
    if classifier.hidden != hidden:
        raise AdapterError(
            f"{source}: the classifier reads hidden states of {classifier.hidden} numbers, and the "
            f"model's have {hidden}: it was trained on another model"
        )
    if after is not None and not 1 <= after <= MOST_FROZEN:
        raise AdapterError(
            f"tgt_non_granular_index {after} should be a number of tokens from 1 to {MOST_FROZEN:,}"
        )
    fits = [
        Fit(model, rules_for(each.dialect), each.names, source) for each in stored.adapters.values()
    ]
    placed: dict[str, dict[str, int]] = {}  # weights by name, each with its modules' places
    order = {path: index for index, (path, _) in enumerate(model.named_modules())}
    found: list[list[tuple[str, str, Delta]]] = []
    for fit, (called, adapter) in zip(fits, stored.adapters.items(), strict=True):
        _refuse_more(adapter, called, source)
        mine = []
        for tensor, delta in adapter.deltas.items():
            one = fit.of(StoredAdapter({tensor: delta}), called)
            for path, parts in one.deltas.items():
                if not is_plain(model.get_submodule(path)):
                    raise AdapterError(
                        f"{source}: adapter {one_line(called, 60)} changes "
                        f"{one_line(tensor, 120)}, which is no linear layer of its own: mixtures "
                        "of adapters change linear layers only, no experts and no embeddings"
                    )
                placed.setdefault(tensor, {})[path] = order[path]
                mine += [(tensor, path, each) for _, each in parts]
        found.append(mine)
    layers = _layers(stored, placed, fits[0], architecture, source)
    mixed: dict[str, list[Part]] = {}
    adapters = []
    for index, (called, mine) in enumerate(zip(stored.adapters, found, strict=True)):
        deltas: dict[str, list[tuple[int | None, Delta]]] = {}
        for tensor, path, delta in mine:
            mixed.setdefault(path, []).append(Part(delta.matrix, layers[tensor], index))
            deltas.setdefault(path, []).append((None, delta))
        adapters.append(Adapter(called, source, {k: tuple(v) for k, v in deltas.items()}))
    if not mixed:
        raise AdapterError(f"{source}: none of its adapters changes anything")
    made = Mixture(
        model, kernels, classifier, adapters, mixed, multiply, where, weight=stored.weight,
        pass_value=stored.pass_value, frozen_after=after, name=name, source=source,
    )  # fmt: skip
    if made.nbytes > memory.free():
        raise AdapterError(
            f"{source}: the adapters take {memory.readable(made.nbytes)}, and "
            f"{memory.readable(memory.free())} are free"
        )
    return made


def _refuse_more(adapter: StoredAdapter, called: str, source: str) -> None:
    more = next((name for name in (*adapter.values, *adapter.rows)), None)
    for tensor, delta in adapter.deltas.items():
        if delta.bias is not None or delta.magnitude is not None:
            more = more or tensor
    if more is not None:
        raise AdapterError(
            f"{source}: adapter {one_line(called, 60)} does more to {one_line(more, 120)} than to "
            "add a pair of matrices (DoRA, lora_bias, or numbers in the place of the model's): a "
            "mixture cannot count a part of that"
        )


def _layers(
    stored: StoredMixture,
    placed: Mapping[str, Mapping[str, int]],
    fit: Fit,
    architecture: str,
    source: str,
) -> dict[str, int]:
    """The classifier's layer of each weight that is changed."""
    count = stored.classifier.layers
    if stored.layers is not None:
        for tensor, layer in stored.layers.items():
            fit.ends(tensor)  # the model has it
            if count > 1 and not 0 <= layer < count:
                raise AdapterError(
                    f"{source}: the ordering gives {one_line(tensor, 120)} the layer {layer}, and "
                    f"the classifier has {count}, counted from 0"
                )
        if lacking := next((each for each in placed if each not in stored.layers), None):
            raise AdapterError(
                f"{source}: the ordering does not name {one_line(lacking, 120)}, which an adapter "
                "changes"
            )
    if count == 1:
        return dict.fromkeys(placed, 0)
    if stored.layers is not None:
        return {tensor: stored.layers[tensor] for tensor in placed}
    if count != len(placed):
        raise AdapterError(
            f"{source}: the classifier is for {count} layers, and its adapters change "
            f"{len(placed)}: an ordering file says which is which (--xlora-order)"
        )
    declared = stored.declared.get(architecture)
    if declared is not None and not declared:
        raise AdapterError(
            f"{source}: in which order the classifier counts the layers of a {architecture} is not "
            "known: an ordering file says it (--xlora-order)"
        )
    names = sorted(placed, key=lambda tensor: min(placed[tensor].values()))
    return {tensor: index for index, tensor in enumerate(_ordered(names, declared or ()))}


def _ordered(names: Sequence[str], declared: Sequence[str]) -> list[str]:
    """Names of weights, where in each layer those that are declared are in that order."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for place, name in enumerate(names):
        if match := IN_LAYER.fullmatch(name):
            for rank, begins in enumerate(declared):
                if f"{match['name']}.".startswith(f"{begins}."):
                    groups.setdefault(match["layer"], []).append((rank, place))
                    break
    found = list(names)
    for group in groups.values():
        slots = sorted(place for _, place in group)
        for slot, (_, place) in zip(slots, sorted(group), strict=True):
            found[slot] = names[place]
    return found
