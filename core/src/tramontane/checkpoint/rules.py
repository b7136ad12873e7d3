"""How a checkpoint's tensors become a model's, where path alone does not say it.

A rule's pattern is a glob over tensor paths without `.weight` or `.bias`: "*.q_proj" covers
"model.layers.0.self_attn.q_proj.weight" and its bias. A pattern may also be a tensor's whole name.
Rules are applied in their order, each to the path that those before it made; so rules that change
numbers come after those that rename, and speak of the model's own paths. Matrices of experts or
heads, (count, rows, columns), are (count * rows, columns) here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tramontane.layouts import Dense, Layout


class Rule(Protocol):
    """One exception to "tensor path equals attribute path"."""

    @property
    def pattern(self) -> str: ...

    def paths(self, path: str) -> tuple[str, ...]:
        """Where a tensor goes; nowhere: it is not used. Tensors that go to one place lie there one
        below the other, in the order of the numbers in their names."""
        ...

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        """The tensor as the module at `path` wants it. Raises ValueError for a shape that cannot
        be."""
        ...


class Kept:
    """What rules do unless they say otherwise: leave path and numbers as they are."""

    def paths(self, path: str) -> tuple[str, ...]:
        return (path,)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return layout


@dataclass(frozen=True)
class Skip(Kept):
    """Tensors that the model computes itself."""

    pattern: str

    def paths(self, path: str) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Rename(Kept):
    """Another name for the same thing; `*` stands for the same on both sides, in its order."""

    pattern: str
    to: str

    def paths(self, path: str) -> tuple[str, ...]:
        return (renamed(path, self.pattern, self.to),)


@dataclass(frozen=True)
class Stack(Kept):
    """A tensor for each expert, `{}` its number, as one matrix: "*.experts.{}.up_proj"."""

    name: str

    @property
    def pattern(self) -> str:
        return self.name.replace("{}", "*")

    def paths(self, path: str) -> tuple[str, ...]:
        tail = self.name.partition(".{}")[2]
        return (path.removesuffix(tail).rpartition(".")[0] + tail,)


@dataclass(frozen=True)
class Split(Kept):
    """A matrix that holds the rows of several, beside each other in the module.

    per: the module's attribute that says in how many groups the rows lie, in each some of every
    part: q, k and v of a head, then those of the next. None: each part in one piece.
    """

    pattern: str
    parts: tuple[str, ...]
    per: str | None = None

    def paths(self, path: str) -> tuple[str, ...]:
        return tuple(sibling(path, part) for part in self.parts)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        name = path.rpartition(".")[2]
        modules: list[Any] = [model.get_submodule(sibling(path, part)) for part in self.parts]
        sizes = [int(module.weight.shape[0]) for module in modules]
        whole, before = sum(sizes), sum(sizes[: self.parts.index(name)])
        if layout.shape[0] != whole:
            raise ValueError(f"{' and '.join(self.parts)} have {whole} rows together")
        size = sizes[self.parts.index(name)]
        if self.per is None:
            return layout.rows(slice(before, before + size))
        groups: int = getattr(owner(model, path), self.per)
        first = torch.arange(groups)[:, None] * (whole // groups) + before // groups
        return layout.rows((first + torch.arange(size // groups)).flatten())


PACKED_EXPERTS: tuple[Rule, ...] = (
    Rename("*.experts.gate_up_proj", "*.experts.gate_up_proj.weight"),
    Rename("*.experts.down_proj", "*.experts.down_proj.weight"),
    Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
)
"""Experts as transformers 5 has them in memory and may save them: stacked, and gate and up in one.

Put before the `Stack` rules of the other way, a tensor for each expert.
"""


@dataclass(frozen=True)
class Deinterleave(Kept):
    """Rows of each head stored as pairs (0, d/2, 1, d/2 + 1, ...), put back into halves.

    For models whose rotation turns adjacent pairs: with the rows of q and k in another order it
    turns halves, and their products stay as they are. Only rows that are rotated are moved.
    Quantization never spans rows, so rows of packed weights move as they are.
    """

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        attention: Any = owner(model, path)
        d_head = int(attention.d_head)
        turned = d_head if attention.rope is None else int(attention.rope.dim)
        order = torch.cat((in_halves(turned), torch.arange(turned, d_head)))
        heads = torch.arange(layout.shape[0] // d_head)[:, None] * d_head
        return layout.rows((heads + order).flatten())


@dataclass(frozen=True)
class Transpose(Kept):
    """Matrices stored as (columns, rows)."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if len(layout.shape) == 1:
            return layout
        plain = layout.data if isinstance(layout, Dense) else layout.decode()
        return Dense(plain.T)


@dataclass(frozen=True)
class Shift(Kept):
    """Numbers stored less `by`: weights of norms that multiply with 1 + weight."""

    pattern: str
    by: float

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        # in place, since torch imports its compiler for sums of tensors without memory
        return Dense(layout.decode(torch.float32).clone().add_(self.by))


def in_halves(dim: int) -> Tensor:
    """Where the rows (0, d/2, 1, d/2 + 1, ...) have those of (0, 1, 2, ...)."""
    return torch.arange(dim).view(-1, 2).T.flatten()


def owner(model: nn.Module, path: str) -> nn.Module:
    """The module that holds the linear layer at `path`."""
    return model.get_submodule(path.rpartition(".")[0])


def sibling(path: str, name: str) -> str:
    return f"{path.rpartition('.')[0]}.{name}"


def renamed(path: str, pattern: str, to: str) -> str:
    """`path`, which fits `pattern`, in the words of `to`."""
    pieces = pattern.split("*")
    rest, found = path.removeprefix(pieces[0]), []
    for piece in pieces[1:-1]:
        held, _, rest = rest.partition(piece)
        found.append(held)
    if len(pieces) > 1:
        found.append(rest.removesuffix(pieces[-1]))
    for held in found:
        to = to.replace("*", held, 1)
    return to


def follow(path: str, last: str, rules: Sequence[Rule]) -> list[tuple[str, str, list[Step]]]:
    """Where a tensor ends: path, last part of the name, and the steps on the way."""
    ends: list[tuple[str, str, list[Step]]] = [(path, last, [])]
    for rule in rules:
        made = []
        for here, end, steps in ends:
            if fnmatchcase(here, rule.pattern):
                made += [(to, end, [*steps, Step(rule, to)]) for to in rule.paths(here)]
            elif end and fnmatchcase(f"{here}.{end}", rule.pattern):
                whole = rule.paths(f"{here}.{end}")
                made += [(*to.rpartition(".")[::2], [*steps, Step(rule, to)]) for to in whole]
            else:
                made.append((here, end, steps))
        ends = made
    return ends


@dataclass(frozen=True)
class Step:
    """A rule on a tensor's way to a slot. path: where the rule sends it."""

    rule: Rule
    path: str
