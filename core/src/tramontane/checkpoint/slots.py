"""The places in a model that a checkpoint fills, and which tensor goes where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.one_line import one_line

from .checkpoint import Header
from .rules import Rule, rule_for


@dataclass(frozen=True)
class Slot:
    """One tensor that a model wants: the attribute `name` of `module`."""

    module: nn.Module
    name: str
    shape: tuple[int, ...]
    packs: bool
    """Whether a packed layout may go there, or plain numbers only."""

    def put(self, layout: Layout, dtype: torch.dtype) -> None:
        if self.packs:
            setattr(self.module, self.name, layout)
        else:
            data = layout.decode(dtype)
            setattr(self.module, self.name, nn.Parameter(data, requires_grad=False))


def slots(model: nn.Module) -> dict[str, Slot]:
    """Every place to fill, by its path."""
    return dict(_slots(model))


def _slots(model: nn.Module) -> Iterator[tuple[str, Slot]]:
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(weight := getattr(module, "weight", None), Dense):
            yield f"{prefix}weight", Slot(module, "weight", weight.shape, True)
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{prefix}{name}", Slot(module, name, tuple(parameter.shape), False)


@dataclass(frozen=True)
class Source:
    """The tensor that fills a slot, and the rule that changes it on the way."""

    tensor: str
    rule: Rule | None


def match(
    header: Header,
    wanted: Mapping[str, Slot],
    rules: list[Rule],
    names: Mapping[str, str],
    ties: Mapping[str, str],
) -> dict[str, Source]:
    """Slot path to source. Unused and missing tensors and wrong shapes are errors.

    names: the container's module names in the model's words, `{}` for a number; empty when they
    are the same. ties: slots that share the weight of another when the checkpoint says so.
    """
    found: dict[str, Source] = {}
    unused = []
    for tensor in header.tensors:
        stem, _, last = tensor.rpartition(".")
        stem = _translate(stem, names)
        rule = rule_for(stem, rules)
        path = stem if rule is None else rule.path(stem)
        if path is None:
            continue
        place = f"{path}.{last}" if path else last
        if place in wanted and place not in found:
            found[place] = Source(tensor, rule)
        elif place not in ties:
            unused.append(tensor)
    for tied, original in ties.items():
        if original in wanted and original not in found:
            # a tied pair may be saved under either name
            alternative = next((t for t in header.tensors if t == tied), None)
            if alternative is not None:
                found[original] = Source(alternative, None)
    missing = [path for path in wanted if path not in found]
    if unused or missing:
        raise CheckpointError(_mismatch(header, unused, missing))
    wrong = [
        f"{source.tensor} is {shape}, {path} wants {wanted[path].shape}"
        for path, source in found.items()
        if (shape := tuple(header.tensors[source.tensor].shape)) != wanted[path].shape
    ]
    if wrong:
        raise CheckpointError(f"{header.path}: wrong shapes: {_some(wrong)}")
    return found


def _translate(stem: str, names: Mapping[str, str]) -> str:
    if not names:
        return stem
    parts = stem.split(".")
    numbers = [part for part in parts if part.isdigit()]
    pattern = ".".join("{}" if part.isdigit() else part for part in parts)
    return names[pattern].format(*numbers) if pattern in names else stem


def _mismatch(header: Header, unused: list[str], missing: list[str]) -> str:
    said = f"{header.path} does not fit {header.architecture}"
    if missing:
        said += f"; missing: {_some(missing)}"
    if unused:
        said += f"; not used: {_some(unused)}"
    return said


def _some(items: list[str]) -> str:
    more = f" and {len(items) - 4} more" if len(items) > 4 else ""
    return ", ".join(one_line(item, 120) for item in items[:4]) + more
