"""What one rank has of a parameter: some rows and columns of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tramontane.block_format import Stored
from tramontane.layouts import Dense, Layout, below, columns


@dataclass(frozen=True)
class Cut:
    """Some rows and columns. rows: runs, one behind the other, of each of `count` equal matrices
    below each other; None: all. columns: of all matrices; None: all. zeros: zeros in its place, of
    what another rank adds to a sum over all."""

    rows: tuple[range, ...] | None = None
    columns: range | None = None
    count: int = 1
    zeros: bool = False

    def of(self, parts: Sequence[Layout]) -> list[Layout]:
        """Tensors that are to be one below the other, as this rank has them. Raises ValueError."""
        if self.rows is not None and self.count % len(parts):  # parts of one matrix
            parts = [below(parts)]
        return [self._of(part, self.count // len(parts)) for part in parts]

    def _of(self, layout: Layout, count: int) -> Layout:
        if self.rows is not None:
            layout = layout.rows(self._index(layout.shape[0], count))
        if self.columns is not None:
            layout = columns(layout, self.columns.start, self.columns.stop)
        if self.zeros:
            layout = Dense(torch.zeros_like(layout.decode()))
        return layout

    def stored(self, matrix: Stored) -> Stored:
        """The same of a matrix that is not read yet. Raises ValueError."""
        if self.rows is not None:
            matrix = matrix.rows(self._index(matrix.shape[0], self.count))
        if self.columns is not None:
            matrix = matrix.columns(self.columns.start, self.columns.stop)
        return matrix

    def _index(self, rows: int, count: int) -> torch.Tensor | slice:
        """Of `rows` in all the ones that stay."""
        assert self.rows is not None
        if len(self.rows) == 1 and count == 1:
            return slice(self.rows[0].start, self.rows[0].stop)
        one = torch.cat([torch.arange(run.start, run.stop) for run in self.rows])
        return (torch.arange(count)[:, None] * (rows // count) + one).flatten()
