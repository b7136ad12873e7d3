"""Rules that map a checkpoint's tensors to a model's parameters where their paths differ.

A rule's pattern is a glob over tensor paths without `.weight` or `.bias`: "*.q_proj" matches
"model.layers.0.self_attn.q_proj.weight" and its bias. A pattern may also match the complete name.
Rules are applied in order, each to the path produced by the rules before it; so rules that change
values come after those that rename, and use the model's own paths. Matrices of experts or heads,
(count, rows, columns), are (count * rows, columns) here.
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
        """The paths that a tensor is assigned to; empty: it is not used. Tensors with the same
        path are concatenated along rows, in the order of the numbers in their names."""
        ...

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        """Convert the tensor to the form that the module at `path` expects. Raises ValueError for
        an impossible shape."""
        ...


class Kept:
    """Default behaviour of rules: path and values unchanged."""

    def paths(self, path: str) -> tuple[str, ...]:
        return (path,)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return layout


@dataclass(frozen=True)
class Skip(Kept):
    """Ignore tensors that the model computes itself."""

    pattern: str

    def paths(self, path: str) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Rename(Kept):
    """Rename tensors; the n-th `*` of `to` is what the n-th `*` of `pattern` matched."""

    pattern: str
    to: str

    def paths(self, path: str) -> tuple[str, ...]:
        return (renamed(path, self.pattern, self.to),)


@dataclass(frozen=True)
class Stack(Kept):
    """Concatenate the tensors of all experts, `{}` their number: "*.experts.{}.up_proj"."""

    name: str

    @property
    def pattern(self) -> str:
        return self.name.replace("{}", "*")

    def paths(self, path: str) -> tuple[str, ...]:
        tail = self.name.partition(".{}")[2]
        return (path.removesuffix(tail).rpartition(".")[0] + tail,)


@dataclass(frozen=True)
class Split(Kept):
    """Split a fused matrix by rows into several parameters of the same module.

    per: the module's attribute with the number of groups, if the rows of the parts alternate by
    group: q, k and v of one head, then those of the next. None: the rows of a part are contiguous.
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
        total, before = sum(sizes), sum(sizes[: self.parts.index(name)])
        if layout.shape[0] != total:
            raise ValueError(f"{' and '.join(self.parts)} have {total} rows together")
        size = sizes[self.parts.index(name)]
        if self.per is None:
            return layout.rows(slice(before, before + size))
        groups: int = getattr(owner(model, path), self.per)
        first = torch.arange(groups)[:, None] * (total // groups) + before // groups
        return layout.rows((first + torch.arange(size // groups)).flatten())


PACKED_EXPERTS: tuple[Rule, ...] = (
    Rename("*.experts.gate_up_proj", "*.experts.gate_up_proj.weight"),
    Rename("*.experts.down_proj", "*.experts.down_proj.weight"),
    Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
)
"""Experts in the in-memory format of transformers 5, which it may also save: stacked, with gate and
up fused.

Put these before the `Stack` rules for the other format, with a tensor for each expert.
"""


@dataclass(frozen=True)
class Deinterleave(Kept):
    """Reorder the rows of each head from interleaved pairs (0, d/2, 1, d/2 + 1, ...) to halves.

    For models whose rotary embedding rotates adjacent pairs: with the rows of q and k reordered,
    the rotation of halves gives the same dot products. Only rotated rows are moved.
    Quantization never spans rows, so rows of packed weights are moved unchanged.
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
    """Transpose matrices that are stored as (columns, rows)."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if len(layout.shape) == 1:
            return layout
        plain = layout.data if isinstance(layout, Dense) else layout.decode()
        return Dense(plain.T)


@dataclass(frozen=True)
class Shift(Kept):
    """Add `by` to the stored values: for norms that multiply with 1 + weight."""

    pattern: str
    by: float

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        # in place, because torch imports its compiler for sums of meta tensors
        return Dense(layout.decode(torch.float32).clone().add_(self.by))


def in_halves(dim: int) -> Tensor:
    """(dim) int64: the index in interleaved order (0, d/2, 1, d/2 + 1, ...) of each row."""
    return torch.arange(dim).view(-1, 2).T.flatten()


def owner(model: nn.Module, path: str) -> nn.Module:
    """The parent of the linear layer at `path`."""
    return model.get_submodule(path.rpartition(".")[0])


def sibling(path: str, name: str) -> str:
    return f"{path.rpartition('.')[0]}.{name}"


def renamed(path: str, pattern: str, to: str) -> str:
    """`to` with each `*` replaced by what the same `*` of `pattern` matches in `path`."""
    pieces = pattern.split("*")
    rest, matches = path.removeprefix(pieces[0]), []
    for piece in pieces[1:-1]:
        match, _, rest = rest.partition(piece)
        matches.append(match)
    if len(pieces) > 1:
        matches.append(rest.removesuffix(pieces[-1]))
    for match in matches:
        to = to.replace("*", match, 1)
    return to


def follow(path: str, last: str, rules: Sequence[Rule]) -> list[tuple[str, str, list[Step]]]:
    """Apply the rules to a tensor's name: resulting paths, last parts of the name, and steps."""
    ends: list[tuple[str, str, list[Step]]] = [(path, last, [])]
    for rule in rules:
        following = []
        for current, end, steps in ends:
            if fnmatchcase(current, rule.pattern):
                following += [(to, end, [*steps, Step(rule, to)]) for to in rule.paths(current)]
            elif end and fnmatchcase(f"{current}.{end}", rule.pattern):
                names = rule.paths(f"{current}.{end}")
                following += [(*to.rpartition(".")[::2], [*steps, Step(rule, to)]) for to in names]
            else:
                following.append((current, end, steps))
        ends = following
    return ends


@dataclass(frozen=True)
class Step:
    """A rule that applies to a tensor. path: the path that the rule produces."""

    rule: Rule
    path: str
