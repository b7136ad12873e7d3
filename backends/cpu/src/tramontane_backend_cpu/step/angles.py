"""Lookup tables of rotary embeddings: a row of cosines and sines for each position."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tramontane.blocks import Rope, SectionedRope
from tramontane.engine.batch import Batch

from .memory import address

PAGE = 1024
"""Positions whose angles are computed at a time."""


class Angles:
    """Angles of one rotary embedding, for steps of up to `tokens` tokens and `places` positions.

    A table by position that is filled in pages. If angles also depend on the context length, or on
    positions in several sections, each step writes its own rows.
    """

    def __init__(self, rope: Rope, tokens: int, places: int, positions_at: int) -> None:
        """positions_at: address of each token's position."""
        self.rope = rope
        self._grows = rope.scaling is not None and rope.scaling.grows
        self._own = self._grows or isinstance(rope, SectionedRope)
        # empty, not zeros: the system allocates memory when it is first written
        self._rows = np.empty((tokens if self._own else places, rope.dim), np.float32)
        self._order = np.arange(tokens if self._own else 0)
        self._known = 0
        self._table: Any = np.empty((0, rope.dim), np.float32)
        """Angles by position, from which rows are put together that have several."""
        self.at = address(self._rows)
        """Address of the rows, (rows, dim) float32."""
        self.index_at = address(self._order) if self._own else positions_at
        """Address of each token's row."""

    def write(self, batch: Batch, longest: int) -> None:
        """Fill the rows for a step in which no context is longer than `longest` tokens."""
        if self._grows:
            cos, sin = batch.angles(self.rope)
            self._rows[: len(cos)] = torch.cat((cos[:, 0], sin[:, 0]), -1).numpy()
        elif isinstance(self.rope, SectionedRope):
            self._write_sections(self.rope, batch)
        elif longest > self._known:
            end = min(-(-longest // PAGE) * PAGE, len(self._rows))
            self._rows[self._known : end] = self._computed(self._known, end)
            self._known = end

    def _write_sections(self, rope: SectionedRope, batch: Batch) -> None:
        """Rows whose parts come from the positions of their sections: the same bits as those of a
        position that all sections share."""
        if batch.placed:
            positions: Any = batch.sections(len(rope.sections)).numpy()
        else:
            positions = np.array([batch.numbers.positions])
        while (known := len(self._table)) <= positions.max():
            page = self._computed(known, known + PAGE)
            self._table = np.concatenate((self._table, page))
        count, half = positions.shape[1], rope.dim // 2
        if len(positions) == 1:
            self._rows[:count] = self._table[positions[0]]
            return
        where, pair = positions[rope.order].T, np.arange(half)
        self._rows[:count, :half] = self._table[where, pair]
        self._rows[:count, half:] = self._table[where, half + pair]

    def _computed(self, first: int, end: int) -> Any:
        where = torch.arange(first, end)
        cos, sin = self.rope.angles(where, where + 1)
        return torch.cat((cos[:, 0], sin[:, 0]), -1).numpy()
