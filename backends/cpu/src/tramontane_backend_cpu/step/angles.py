"""Lookup tables of rotary embeddings: a row of cosines and sines for each position."""

from __future__ import annotations

import numpy as np
import torch
from tramontane.blocks import Rope
from tramontane.engine.batch import Batch

from .memory import address

PAGE = 1024
"""Positions whose angles are computed at a time."""


class Angles:
    """Angles of one rotary embedding, for steps of up to `tokens` tokens and `places` positions.

    A table by position that is filled in pages. If angles also depend on the context length, each
    step writes its own rows.
    """

    def __init__(self, rope: Rope, tokens: int, places: int, positions_at: int) -> None:
        """positions_at: address of each token's position."""
        self.rope = rope
        self._own = rope.scaling is not None and rope.scaling.grows
        # empty, not zeros: the system allocates memory when it is first written
        self._rows = np.empty((tokens if self._own else places, rope.dim), np.float32)
        self._order = np.arange(tokens if self._own else 0)
        self._known = 0
        self.at = address(self._rows)
        """Address of the rows, (rows, dim) float32."""
        self.index_at = address(self._order) if self._own else positions_at
        """Address of each token's row."""

    def write(self, batch: Batch, longest: int) -> None:
        """Fill the rows for a step in which no context is longer than `longest` tokens."""
        if self._own:
            cos, sin = batch.angles(self.rope)
            self._rows[: len(cos)] = torch.cat((cos[:, 0], sin[:, 0]), -1).numpy()
        elif longest > self._known:
            end = min(-(-longest // PAGE) * PAGE, len(self._rows))
            where = torch.arange(self._known, end)
            cos, sin = self.rope.angles(where, where + 1)
            self._rows[self._known : end] = torch.cat((cos[:, 0], sin[:, 0]), -1).numpy()
            self._known = end
