"""How a checkpoint's tensors become a model's, where the tensor's path alone does not decide it.

A rule's pattern is a glob over tensor paths without `.weight` or `.bias`: "*.q_proj" covers
"model.layers.0.self_attn.q_proj.weight" and its bias. A pattern may also be a tensor's full name.
Rules are applied in their order, each to the path that the rules before it returned; so rules that
change numbers come after those that rename, and use the model's own paths. Matrices of experts or
heads, (count, rows, columns), are (count * rows, columns) here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from tramontane.layouts import Dense, Layout, picked
from tramontane.layouts.low_rank import LowRank


class Rule(Protocol):
    """One exception to "tensor path equals attribute path"."""

    @property
    def pattern(self) -> str: ...

    def paths(self, path: str) -> tuple[str, ...]:
        """The model's paths that a tensor goes to; none: it is not used. Tensors that go to one
        path are stacked there, rows below rows, in the order of the numbers in their names."""
        ...

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        """The tensor as the module at `path` reads it; called once for each of `paths`.

        layout: `Dense` or packed; `layout.shape` is (rows, columns) or (numbers). It may be on the
        meta device, where shapes are checked before anything is read. model: on the meta device or
        partly filled, for sizes only. Raises ValueError for a shape that does not fit."""
        ...


class Kept:
    """The base of all rules: leaves path and numbers as they are."""

    def paths(self, path: str) -> tuple[str, ...]:
        return (path,)

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return layout


@dataclass(frozen=True)
class Skip(Kept):
    """Leaves tensors out: those that the model computes itself, such as rotary frequencies."""

    pattern: str

    def paths(self, path: str) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Rename(Kept):
    """Gives a tensor another path. Each `*` of `to` takes what the `*` of `pattern` at the same
    place matched."""

    pattern: str
    to: str

    def paths(self, path: str) -> tuple[str, ...]:
        return (renamed(path, self.pattern, self.to),)


@dataclass(frozen=True)
class Stack(Kept):
    """Puts the tensors of all experts into one, (experts * rows, columns), in the order of their
    numbers. name: the path with `{}` for the expert's number, "*.experts.{}.up_proj"."""

    name: str

    @property
    def pattern(self) -> str:
        return self.name.replace("{}", "*")

    def paths(self, path: str) -> tuple[str, ...]:
        tail = self.name.partition(".{}")[2]
        return (path.removesuffix(tail).rpartition(".")[0] + tail,)


@dataclass(frozen=True)
class Join(Kept):
    """Renames a tensor as `Rename` does, to a path that others go to as well: they are put there,
    rows below rows, by their `place`: q, k and v in one."""

    pattern: str
    to: str
    place: int

    def paths(self, path: str) -> tuple[str, ...]:
        return (renamed(path, self.pattern, self.to),)


@dataclass(frozen=True)
class Split(Kept):
    """Cuts a fused matrix, (rows of all parts, columns), into modules with the same parent.

    parts: their names, in the order of the rows. per: None where each part is one range of rows;
    or an attribute of the parent, such as "kv_heads", with the count of groups where the rows are
    interleaved by group: q, k and v of the first head, then those of the next. With "rows" of
    `Experts`, rows of gate and up alternate.

    Raises ValueError where the rows are not as many as the parts have together.
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
    Rename("*.experts.gate_up_proj.weight", "*.experts.gate_up_proj"),
    Rename("*.experts.down_proj.weight", "*.experts.down_proj"),
    Rename("*.experts.gate_up_proj", "*.experts.gate_up_proj.weight"),
    Rename("*.experts.down_proj", "*.experts.down_proj.weight"),
    Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
    Rename("*.switch_mlp.*_proj", "*.experts.*_proj"),
)
"""Experts as transformers 5 has them in memory and may save them: stacked, and gate and up in one;
as mistral.rs saves them, stacked, with `.weight` behind; and as mlx-lm does, under `switch_mlp`.

Put before the `Stack` rules of the other way, a tensor for each expert; `EXPERTS` has both.
"""
EXPERTS: tuple[Rule, ...] = (
    *PACKED_EXPERTS,
    *(Stack(f"*.experts.{{}}.{name}_proj") for name in ("gate", "down", "up")),
)
"""Experts in either way: stacked, or a tensor for each. Put after rules that rename them so."""

TEXT_PART: tuple[Rule, ...] = (
    *(
        Skip(f"{outer}{part}.*")
        for outer in ("model.", "")
        for part in (
            "vision_tower", "vision_model", "visual", "multi_modal_projector", "embed_vision",
            "vision_embedder", "audio_tower", "embed_audio",
        )
    ),
    Rename("model.language_model.*", "model.*"),
    Rename("language_model.*", "*"),
)  # fmt: skip
"""The language model of a checkpoint that has others for pictures and sounds, which are left out.

Put first: the rules after it see the paths of a checkpoint of text alone.
"""


@dataclass(frozen=True)
class Deinterleave(Kept):
    """For checkpoints whose rotation pairs adjacent numbers, (0, 1), (2, 3), ...: reorders each
    head to 0, 2, 4, ..., 1, 3, 5, ..., so that `Rope`, which pairs (i, i + d/2), rotates the same
    pairs.

    Use it for q and k alike: their products, and so the scores, stay as they are. Also use it for
    norm weights along a head (q_norm, k_norm) and biases, which must move with the numbers that
    they multiply: a weight of (d_head), (heads * d_head) or, in a `HeadNorm`, (heads, d_head).
    Only the first `rope.dim` numbers of a head are moved, or with whole=True all of them, for files
    whose writer moved all where a part rotates. Rows of packed weights move as they are, since
    quantization never spans rows. The module at `pattern` belongs to one with `d_head` and `rope`,
    such as `Attention`.

    Raises ValueError for rows that are no multiple of d_head.
    """

    pattern: str
    whole: bool = False

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        attention: Any = owner(model, path)
        d_head = int(attention.d_head)
        part = attention.rope is not None and not self.whole
        turned = int(attention.rope.dim) if part else d_head
        order = torch.cat((in_halves(turned), torch.arange(turned, d_head)))
        if _is_norm(model, path) and isinstance(layout, Dense) and len(layout.shape) == 2:
            return Dense(picked(layout.data.T, order).T)
        if layout.shape[0] % d_head:
            raise ValueError(f"{layout.shape[0]} rows are no multiple of d_head {d_head}")
        heads = torch.arange(layout.shape[0] // d_head)[:, None] * d_head
        return layout.rows((heads + order).flatten())


@dataclass(frozen=True)
class Transpose(Kept):
    """Turns matrices stored as (columns, rows), as GPT-2's, into (rows, columns). Vectors stay as
    they are. Packed matrices are decoded.

    per: None for one matrix; or an attribute of the parent, such as "count", with how many there
    are below each other. Raises ValueError where the rows are no multiple of that.
    """

    pattern: str
    per: str | None = None

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if len(layout.shape) == 1:
            return layout
        given: Any = layout
        if isinstance(given, LowRank):  # what an adapter adds, which is no layout
            return cast("Layout", given.turned())
        plain = layout.data if isinstance(layout, Dense) else layout.decode()
        if self.per is None:
            return Dense(plain.T)
        count = int(getattr(owner(model, path), self.per))
        if plain.shape[0] % count:
            raise ValueError(f"{plain.shape[0]} rows are no multiple of {count} matrices")
        return Dense(plain.unflatten(0, (count, -1)).mT.flatten(0, 1))


@dataclass(frozen=True)
class Flatten(Kept):
    """Puts rows one behind the other: experts' biases, (count, rows), into (count * rows); and what
    a checkpoint has with a dimension too many into a vector."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return Dense(layout.decode().flatten())


@dataclass(frozen=True)
class Shift(Kept):
    """Adds `by` to every number, in float32: for norms that multiply by 1 + weight, `by` is 1."""

    pattern: str
    by: float

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        # in place, since torch imports its compiler for sums of tensors without memory
        return Dense(layout.decode(torch.float32).clone().add_(self.by))


def _is_norm(model: nn.Module, path: str) -> bool:
    """Whether the weight at a path is a vector for each head, and no matrix that multiplies."""
    return isinstance(getattr(model.get_submodule(path), "weight", None), nn.Parameter)


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
