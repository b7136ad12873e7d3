"""The weight map: a model's parameters, and the checkpoint tensors that each is loaded from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from tramontane.blocks import StackedLinear
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout, below
from tramontane.sanitize import one_line

from .checkpoint import Header
from .rules import Join, Rule, Step, follow

if TYPE_CHECKING:
    from tramontane.parallel.cut import Cut


@dataclass(frozen=True)
class Slot:
    """One parameter of a model: the attribute `name` of `module`."""

    module: nn.Module
    name: str
    shape: tuple[int, ...]
    packs: bool
    """Whether it may be a packed layout, or only a dense tensor."""
    stacked: bool = False
    """Whether it consists of several matrices, concatenated along rows."""

    def put(self, layout: Layout, dtype: torch.dtype) -> None:
        """Make it the module's. Its tensors must be contiguous: kernels take their addresses."""
        assert all(tensor.is_contiguous() for tensor in layout.tensors().values()), self.name
        if self.packs:
            setattr(self.module, self.name, layout)
        else:
            data = layout.decode(dtype)
            setattr(self.module, self.name, nn.Parameter(data, requires_grad=False))


def slots(model: nn.Module) -> dict[str, Slot]:
    """All parameters by their paths."""
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
    """The source of a slot: tensors to concatenate along rows, each with the rules to apply."""

    pieces: tuple[tuple[str, tuple[Step, ...]], ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(tensor for tensor, _ in self.pieces)

    def make(self, read: Mapping[str, Layout], model: nn.Module, cut: Cut | None = None) -> Layout:
        """Build the slot's content from the tensors. cut: what a rank has of it. Raises
        ValueError."""
        layouts = self.parts(read, model)
        if cut is not None:
            layouts = cut.of(layouts)
        return layouts[0] if len(layouts) == 1 else below(layouts)

    def parts(self, read: Mapping[str, Layout], model: nn.Module) -> list[Layout]:
        """The matrices that are to be one below the other. Raises ValueError."""
        layouts = []
        for tensor, steps in self.pieces:
            layout = _flat(read[tensor])
            for step in steps:
                layout = step.rule.change(layout, step.path, model)
            layouts.append(layout)
        return layouts


def _flat(layout: Layout) -> Layout:
    """Stacked matrices (count, rows, columns) as one (count * rows, columns)."""
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
    """Map slot paths to sources. Raises CheckpointError for unused or missing tensors and wrong
    shapes.

    names: the model's module names by the container's, with `{}` for a number; empty if they are
    the same. ties: slots that share another's weight, by the configuration.
    """
    wanted = {path: slot for path, slot in slots(model).items() if path not in ties}
    found: dict[str, list[tuple[str, tuple[Step, ...]]]] = {}
    unused = []
    for tensor in header.tensors:
        stem, last = parted(tensor)
        for path, end, steps in follow(module_path(stem, names), last, rules):
            place = f"{path}.{end}" if path and end else path or end
            here = (tensor, tuple(steps))
            stacks = place in found and _order(here) != _order(found[place][0])
            if place in wanted and (place not in found or stacks):
                found.setdefault(place, []).append(here)
            elif place not in ties:
                unused.append(tensor)
    for tied, original in ties.items():
        if original in wanted and original not in found and tied in header.tensors:
            # a tied pair may be saved under either name
            found[original] = [(tied, ())]
    missing = [path for path in wanted if path not in found]
    if unused or missing:
        raise CheckpointError(_mismatch(header, unused, missing))
    sources = {path: Source(tuple(sorted(pieces, key=_order))) for path, pieces in found.items()}
    wrong = [
        problem
        for path, source in sources.items()
        if (problem := _wrong(header, path, source, wanted[path], model))
    ]
    if wrong:
        raise CheckpointError(f"{header.path}: wrong shapes: {_some(wrong)}")
    return sources


def parted(tensor: str) -> tuple[str, str]:
    """Split a tensor's name before its last part."""
    stem, _, last = tensor.rpartition(".")
    return stem, last


def _order(piece: tuple[str, tuple[Step, ...]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where a tensor stands among those that are put into one."""
    tensor, steps = piece
    return _numbers(tensor), tuple(each.rule.place for each in steps if isinstance(each.rule, Join))


def _numbers(tensor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in tensor.split(".") if part.isdigit())


def _wrong(header: Header, path: str, source: Source, slot: Slot, model: nn.Module) -> str | None:
    """An error message if the shapes of a slot's tensors are wrong; reads no weight."""
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
    except (RuntimeError, IndexError):  # torch's messages do not help the user
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
    message = f"{header.path} does not fit {header.architecture}"
    if missing:
        message += f"; missing: {_some(missing)}"
    if unused:
        message += f"; not used: {_some(unused)}"
    return message


def _some(items: list[str]) -> str:
    more = f" and {len(items) - 4} more" if len(items) > 4 else ""
    return ", ".join(one_line(item, 120) for item in items[:4]) + more
