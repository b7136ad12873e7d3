"""Cutting a model on the meta device to what one rank has of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from tramontane.blocks import Linear
from tramontane.layouts import Dense

from .cut import Cut
from .group import Group
from .joint import Beside, Sum


class Cutter:
    """Makes parameters smaller and remembers how. steps: by a weight's path, at multiples of how
    many columns it can be cut; None: nowhere."""

    def __init__(self, group: Group, steps: Callable[[str], int | None]) -> None:
        self.group, self._steps = group, steps
        self.rank, self.size, self.weights = group.rank, group.size, group.weights
        self.cuts: dict[str, Cut] = {}
        """By the paths of parameters."""

    def step(self, path: str) -> int | None:
        """At multiples of how many columns the weight of a module can be cut; None: nowhere."""
        return self._steps(f"{path}.weight")

    def parameter(self, module: nn.Module, path: str, name: str, cut: Cut) -> None:
        """Cut one, if the module has it."""
        held: Any = getattr(module, name, None)
        if held is None:
            return
        (made,) = cut.of([held if isinstance(held, Dense) else Dense(held.data)])
        assert isinstance(made, Dense)
        kept = isinstance(held, Dense)
        setattr(module, name, made if kept else nn.Parameter(made.data, requires_grad=False))
        self.cuts[f"{path}.{name}"] = cut

    def linear(self, module: Any, path: str, *runs: range, count: int = 1) -> None:
        """Cut a `Linear` or `StackedLinear` as its `split` says. runs: of its results where that is
        "column", of what it reads where it is "row"."""
        if module.split == "column":
            for name in ("weight", "bias"):
                self.parameter(module, path, name, Cut(rows=runs, count=count))
            return
        assert module.split == "row", f"{path} is shared by ranks, and does not say how"
        (run,) = runs
        self.parameter(module, path, "weight", Cut(columns=run, count=count))
        if self.rank:
            self.parameter(module, path, "bias", Cut(zeros=True, count=count))
        if isinstance(module, Linear):
            module.joint = Sum(self.group)

    def gathered(self, module: Linear, path: str, portions: Sequence[range]) -> None:
        """Cut one whose result every rank needs as a whole."""
        self.linear(module, path, portions[self.rank])
        module.joint = Beside(self.group, tuple(len(each) for each in portions))


def rows_of(runs: Sequence[range], width: int) -> tuple[range, ...]:
    """Rows of heads, each of `width` rows."""
    return tuple(range(run.start * width, run.stop * width) for run in runs)


def times(run: range, width: int) -> range:
    """The same of one run."""
    return range(run.start * width, run.stop * width)
