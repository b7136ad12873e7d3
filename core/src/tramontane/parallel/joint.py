"""How the parts of a result that the ranks have become the whole, on every rank."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .group import Group


@dataclass(frozen=True)
class Sum:
    """The parts are summands."""

    group: Group

    def __call__(self, x: Tensor) -> Tensor:
        """x: (tokens, width), which is overwritten -> the same shape."""
        return self.group.all_reduce(x.contiguous())


@dataclass(frozen=True)
class Beside:
    """The parts are columns, as many of each rank as `widths` says."""

    group: Group
    widths: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """x: (tokens, this rank's width) -> (tokens, sum of widths)."""
        return self.group.all_gather(x.contiguous(), self.widths)
