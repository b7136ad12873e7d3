"""The places in a model that a checkpoint fills, and which tensor goes where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tramontane.blocks import StackedLinear
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout, below
from tramontane.one_line import one_line

from .checkpoint import Header
from .rules import Rule, Step, follow


@dataclass(frozen=True)
class Slot:
    """One tensor that a model wants: the attribute `name` of `module`."""

    module: nn.Module
    name: str
    shape: tuple[int, ...]
    packs: bool
    """Whether a packed layout may go there, or plain numbers only."""
    stacked: bool = False
    """Whether it holds several matrices, one below the other."""

    def put(self, layout: Layout, dtype: torch.dtype) -> None:
        """Make it the module's. Its tensors must be contiguous: kernels take their addresses."""
        assert all(tensor.is_contiguous() for tensor in layout.tensors().values()), self.name
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
            stacked = isinstance(module, StackedLinear)
            yield f"{prefix}weight", Slot(module, "weight", weight.shape, True, stacked)
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{prefix}{name}", Slot(module, name, tuple(parameter.shape), False)


@dataclass(frozen=True)
class Source:
    """What fills a slot: tensors, one below the other, each with the rules on its way."""

    pieces: tuple[tuple[str, tuple[Step, ...]], ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(tensor for tensor, _ in self.pieces)

    def make(self, read: Mapping[str, Layout], model: nn.Module) -> Layout:
        """The slot's content, of what the tensors hold. Raises ValueError."""
        made = []
        for tensor, steps in self.pieces:
            layout = _flat(read[tensor])
            for step in steps:
                layout = step.rule.change(layout, step.path, model)
            made.append(layout)
        return made[0] if len(made) == 1 else below(made)


def _flat(layout: Layout) -> Layout:
    """Stacked matrices one below the other."""
    if isinstance(layout, Dense) and len(layout.shape) == 3:
        return Dense(layout.data.flatten(0, 1))
    return layout


def match(
    header: Header,
    model: nn.Module,
    rules: Sequence[Rule],
    names: Mapping[str, str],
    ties: Mapping[str, str],
) -> dict[str, Source]:
    """Slot path to source. Unused and missing tensors and wrong shapes are errors.

    names: the container's module names in the model's words, `{}` for a number; empty when they
    are the same. ties: slots that share the weight of another when the checkpoint says so.
    """
    wanted = {path: slot for path, slot in slots(model).items() if path not in ties}
    found: dict[str, list[tuple[str, tuple[Step, ...]]]] = {}
    unused = []
    for tensor in header.tensors:
        stem, last = parted(tensor)
        for path, end, steps in follow(module_path(stem, names), last, rules):
            place = f"{path}.{end}" if path and end else path or end
            stacks = place in found and _numbers(tensor) != _numbers(found[place][0][0])
            if place in wanted and (place not in found or stacks):
                found.setdefault(place, []).append((tensor, tuple(steps)))
            elif place not in ties:
                unused.append(tensor)
    for tied, original in ties.items():
        if original in wanted and original not in found and tied in header.tensors:
            # a tied pair may be saved under either name
            found[original] = [(tied, ())]
    missing = [path for path in wanted if path not in found]
    if unused or missing:
        raise CheckpointError(_mismatch(header, unused, missing))
    sources = {
        path: Source(tuple(sorted(pieces, key=lambda piece: _numbers(piece[0]))))
        for path, pieces in found.items()
    }
    wrong = [
        said
        for path, source in sources.items()
        if (said := _wrong(header, path, source, wanted[path], model))
    ]
    if wrong:
        raise CheckpointError(f"{header.path}: wrong shapes: {_some(wrong)}")
    return sources


def parted(tensor: str) -> tuple[str, str]:
    """A tensor's name without its last part, and that."""
    stem, _, last = tensor.rpartition(".")
    return stem, last


def _numbers(tensor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in tensor.split(".") if part.isdigit())


def _wrong(header: Header, path: str, source: Source, slot: Slot, model: nn.Module) -> str | None:
    """What is wrong with the shapes of a slot's tensors, if anything; reads no weight."""
    shapes = {tensor: tuple(header.tensors[tensor].shape) for tensor in source.tensors}
    empty: dict[str, Layout] = {
        tensor: Dense(torch.empty(shape, device="meta")) for tensor, shape in shapes.items()
    }
    why = ""
    try:
        if source.make(empty, model).shape == slot.shape:
            return None
    except ValueError as error:
        why = f": {error}"
    except (RuntimeError, IndexError):  # torch's own words do not help
        pass
    several = f" of {len(shapes)}" if len(shapes) > 1 else ""
    tensor, shape = next(iter(shapes.items()))
    return f"{tensor}{several} is {shape}, {path} wants {slot.shape}{why}"


def module_path(stem: str, names: Mapping[str, str]) -> str:
    """A tensor's stem in the model's words; itself where `names` does not have it."""
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
