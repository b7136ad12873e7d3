"""The rules of loading backwards: which tensors a checkpoint has that fills a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from tramontane.checkpoint.rules import (
    Rename,
    Rule,
    Split,
    Stack,
    Transpose,
    owner,
    renamed,
    sibling,
)
from tramontane.checkpoint.weight_map import parted
from tramontane.errors import CheckpointError

Shapes = dict[str, tuple[int, ...]]


def backwards(
    wanted: Shapes,
    rules: Sequence[Rule],
    names: Mapping[str, str],
    model: nn.Module,
    dialect: str = "hf",
) -> Shapes:
    """The tensors from which the rules make what a model wants, with their shapes.

    A rule of a plugin's own may have `backwards`: (shapes, model) -> shapes. Raises CheckpointError
    for a parameter that no name of the dialect means.
    """
    shapes = dict(wanted)
    for rule in reversed(rules):
        shapes = _undone(rule, shapes, model)
    return {_said(name, names, wanted, dialect): shape for name, shape in shapes.items()}


def _undone(rule: Rule, shapes: Shapes, model: nn.Module) -> Shapes:
    if (own := getattr(rule, "backwards", None)) is not None:
        undone: Shapes = own(shapes, model)
        return undone
    before: Shapes = {}
    for name, shape in shapes.items():
        stem, last = parted(name)
        if isinstance(rule, Rename):
            for whole, end in ((stem, f".{last}"), (name, "")):
                if fnmatchcase(whole, rule.to):
                    name = renamed(whole, rule.to, rule.pattern) + end
                    break
        elif isinstance(rule, Split):
            for part in rule.parts:
                whole = sibling(stem, rule.pattern.rpartition(".")[2])
                if stem.endswith(f".{part}") and fnmatchcase(whole, rule.pattern):
                    name = f"{whole}.{last}"
                    rows = before[name][0] if name in before else 0
                    shape = (rows + shape[0], *shape[1:])
        elif isinstance(rule, Stack):
            front, tail = rule.name.split(".{}")
            if fnmatchcase(stem, front + tail):
                count = int(model.get_submodule(stem.rpartition(".")[0]).count)  # type: ignore[arg-type]
                where = stem.removesuffix(tail)
                for index in range(count):
                    before[f"{where}.{index}{tail}.{last}"] = (shape[0] // count, *shape[1:])
                continue
        elif isinstance(rule, Transpose) and fnmatchcase(stem, rule.pattern):
            if rule.per is None:
                shape = shape[::-1]
            elif len(shape) > 1:
                count = int(getattr(owner(model, stem), rule.per))
                shape = (count * shape[1], shape[0] // count)
        before[name] = shape
    return before


def _said(name: str, names: Mapping[str, str], wanted: Shapes, dialect: str) -> str:
    """A tensor in a container's words."""
    stem, last = parted(name)
    numbers = [part for part in stem.split(".") if part.isdigit()]
    pattern = ".".join("{}" if part.isdigit() else part for part in stem.split("."))
    theirs = next((said for said, ours in names.items() if ours == pattern), None)
    if theirs is not None:
        return f"{theirs.format(*numbers)}.{last}"
    if names and name in wanted:
        raise CheckpointError(
            f"no tensor name of {dialect} means {stem}: weights= needs under {dialect!r} a "
            f'Rename from the name that such a file has to "{pattern.replace("{}", "*")}"'
        )
    return name
