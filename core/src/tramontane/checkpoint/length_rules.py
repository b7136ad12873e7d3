"""A rule for `Lengths`: how long the rows or columns of a matrix are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from tramontane.layouts import Dense, Layout

from .rules import Kept


@dataclass(frozen=True)
class LengthsOf(Kept):
    """Beside the matrix itself, the lengths of its rows or columns (the roots of sums of squares),
    which the module `to` divides by.

    columns: those of its columns instead of its rows. least: what a length is at least. more: what
    is added to it.
    """

    pattern: str
    to: str
    columns: bool = False
    least: float = 0.0
    more: float = 0.0

    def paths(self, path: str) -> tuple[str, ...]:
        return path, self.to

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if path != self.to:
            return layout
        plain = layout.decode()
        if plain.device.type == "meta":  # nothing but the shape is looked at
            return Dense(plain[0] if self.columns else plain[:, 0])
        lengths = plain.float().norm(dim=0 if self.columns else 1)
        return Dense(lengths.clamp(min=self.least) + self.more)

    def backwards(
        self, shapes: Mapping[str, tuple[int, ...]], model: nn.Module
    ) -> dict[str, tuple[int, ...]]:
        """The tensors before, for the conformance kit."""
        return {name: shape for name, shape in shapes.items() if name != f"{self.to}.weight"}
