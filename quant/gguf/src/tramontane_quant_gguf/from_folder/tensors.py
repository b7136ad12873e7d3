"""Where each number of a model lies in a GGUF file: the rules of reading, backwards.

The rules of an architecture say which of a model's places a file's tensor fills. Here they are
asked, for every name that a file may have, with the tensor's row numbers in place of its numbers:
what arrives is the row that each row comes from, and what the rule adds.

    file row j of a tensor  ->  place row i,  place[i] = file[j] + c     so  file[j] = place[i] - c
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from tramontane.blocks import CausalLM, StackedLinear
from tramontane.checkpoint.rules import Rename, Rule, Step, follow
from tramontane.checkpoint.state_rules import LogOfNegative
from tramontane.checkpoint.weight_map import Slot, module_path
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout

from tramontane_quant_gguf.names import DECODER


@dataclass(frozen=True)
class Part:
    """What a place gives to a tensor. rows: the tensor's rows that those of the place become.
    less: what is subtracted. undo: what makes the file's numbers of the place's."""

    path: str
    rows: Tensor
    less: float
    undo: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Placed:
    """A tensor of the file, rows first, and the places of the model that its numbers are from."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    def made(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The tensor in float32. weights: of each part's place, by its path."""
        rows = sum(len(part.rows) for part in self.parts)
        out = torch.empty((rows, prod(self.shape) // rows), dtype=torch.float32)
        for part in self.parts:
            given = weights[part.path].to(torch.float32)
            given = given if part.undo is None else part.undo(given)
            given = given.reshape(out[part.rows].shape)
            out[part.rows] = given - part.less if part.less else given
        return out.reshape(self.shape)


def placed(
    wanted: Mapping[str, Slot], rules: Sequence[Rule], model: CausalLM, *, fused: bool
) -> list[Placed]:
    """The tensors of a file of a model, in the order of its layers. fused: whether a tensor that
    fills several places is taken before those that fill one each.

    Raises CheckpointError, naming places, where the rules know no tensor for them.
    """
    ways = [way for name in _names(rules, len(model.model.layers)) for way in _ways(name, rules)]
    ways = [(name, ends) for name, ends in ways if all(place in wanted for place, _ in ends)]
    ways.sort(key=lambda way: -len(way[1]) if fused else len(way[1]))  # stable: else as they are
    filled: set[str] = set()
    found = []
    for name, ends in ways:
        places = {place for place, _ in ends}
        if not places & filled:
            filled |= places
            found.append(_placed(name, ends, wanted, model))
    if missing := [path for path in wanted if path not in filled]:
        raise CheckpointError(
            f"no tensor of a GGUF file means {', '.join(missing[:4])}"
            f"{' and more' if len(missing) > 4 else ''}"
        )
    order = {path: index for index, path in enumerate(wanted)}
    return sorted(found, key=lambda each: order[each.parts[0].path])


ENDS = ("", ".weight", ".bias", ".scale")
Ends = list[tuple[str, tuple[Step, ...]]]


def _names(rules: Iterable[Rule], layers: int) -> Iterator[str]:
    """Every tensor's name that a file may have."""
    own = []
    for rule in rules:
        pattern = rule.pattern
        ours = pattern.startswith(("model.", "*", "lm_head"))
        if isinstance(rule, Rename) and not ours and pattern.count("*") <= 1:
            own.append(pattern.replace("*", "{}"))
    # a family's own names first: they may mean what another name of the table means elsewhere
    for stem in dict.fromkeys([*own, *DECODER]):
        whole = stem.endswith(ENDS[1:])
        for layer in range(layers if "{}" in stem else 1):
            name = stem.format(layer)
            yield from [name] if whole else [f"{name}{end}" for end in ENDS]


def _ways(name: str, rules: Sequence[Rule]) -> Iterator[tuple[str, Ends]]:
    """Where a tensor goes, if it goes anywhere."""
    stem, _, last = name.rpartition(".")
    ends: Ends = [
        (f"{path}.{end}" if path and end else path or end, tuple(steps))
        for path, end, steps in follow(module_path(stem, DECODER), last, rules)
    ]
    if ends:
        yield name, ends


def _placed(name: str, ends: Ends, wanted: Mapping[str, Slot], model: CausalLM) -> Placed:
    slots = [wanted[place] for place, _ in ends]
    shape = _probed(slots[0])
    total = sum(prod(_probed(slot)) for slot in slots)
    numbers = torch.arange(total, dtype=torch.float64).view(-1, *shape[1:])
    parts = []
    for (place, steps), slot in zip(ends, slots, strict=True):
        added, arrived = (
            _through(probe, steps, model) for probe in (torch.zeros_like(numbers), numbers)
        )
        less = float(added.reshape(-1)[0])
        rows = (arrived - added).reshape(-1).round().long()
        if len(rows) != prod(_probed(slot)) or bool((added != less).any()):
            raise CheckpointError(f"{name} cannot be made of {place}: its rows do not fit")
        undone = [step.rule for step in steps if isinstance(step.rule, LogOfNegative)]
        parts.append(Part(place, rows, less, undone[0].undo if undone else None))
    where = torch.cat([part.rows for part in parts])
    if not torch.equal(where.sort().values, torch.arange(total)):
        raise CheckpointError(f"{name} cannot be made: some of its rows are in no place, or in two")
    return Placed(name, _shape(total, slots[0]), tuple(parts))


def _probed(slot: Slot) -> tuple[int, ...]:
    """Whose numbers are told apart: the rows of a matrix, and all of what is none, whose columns
    rules may move as well."""
    return (slot.shape[0], 1)[: len(slot.shape)] if slot.packs else slot.shape


def _through(probe: Tensor, steps: Iterable[Step], model: CausalLM) -> Tensor:
    layout: Layout = Dense(probe)
    for step in steps:
        if not isinstance(step.rule, LogOfNegative):  # it moves nothing
            layout = step.rule.change(layout, step.path, model)
    return layout.decode(torch.float64)


def _shape(rows: int, slot: Slot) -> tuple[int, ...]:
    """As a file has it: matrices of experts or heads stacked, and one row as a vector."""
    count = int(slot.module.count) if isinstance(slot.module, StackedLinear) else 0
    if len(slot.shape) == 1:
        return (count, rows // count) if count else (rows,)
    if not slot.packs:
        return slot.shape
    columns = slot.shape[1]
    if count:
        return (count, rows // count, columns)
    return (columns,) if rows == 1 else (rows, columns)
