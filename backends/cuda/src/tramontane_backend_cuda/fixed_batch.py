"""A batch whose tensors stay where they are, for steps that are recorded."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.blocks.rope import Rope
from tramontane.engine.batch import Batch, Numbers, Rotation, Span
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache, LayerCache

from .plan import SPLIT, Tiles

ABOUT = 5
"""Numbers of a tile."""


class NotRecordable(Exception):
    """A model's step cannot be recorded; says what it did."""


class FixedPages:
    """Stands for a window's `Pages`: of the rows' own blocks, the pages that were written here."""

    def __init__(self, now: Tensor) -> None:
        self.now = now

    def look(self, blocks: Tensor) -> Tensor:
        return self.now


class FixedCache:
    """A cache's layers, with pages of windows as of `FixedPages`."""

    states = ()

    def __init__(self, cache: KVCache, pages: dict[int, FixedPages]) -> None:
        self.device, self.dtype, self.block_size = cache.device, cache.dtype, cache.block_size
        self.layers: dict[int, LayerCache] = {}
        for index, layer in cache.layers.items():
            own: Any = copy.copy(layer)
            if layer.pages is not None:
                own.pages = pages[id(layer.pages)]
            self.layers[index] = own


class FixedPlan:
    """Tiles of one token each. Implements `plan.Plan`."""

    def __init__(self, about: Tensor, splits: int, pages: dict[int, Tensor]) -> None:
        rows = torch.arange(len(about), dtype=torch.int32, device=about.device)
        self._tiles = [Tiles(about, rows, splits)]
        self._pages = pages

    def tiles(self, heads: int, most: int) -> Sequence[Tiles]:
        return self._tiles

    def pages(self, cache: LayerCache) -> Tensor:
        return self._pages[id(cache.pages)]

    def reach(self) -> Tensor:
        raise NotRecordable("tokens that see later ones are not recorded")


class FixedBatch(Batch):
    """`rows` sequences with a token each, of contexts of up to `splits` splits. tokens: (rows)
    int64. ropes: the rotations that will be asked for.

    `load` writes another batch into it.
    """

    def __init__(self, cache: KVCache, rows: int, splits: int, ropes: Iterable[Rope]) -> None:
        self._rows, self._room = rows, max(1, splits) * SPLIT // BLOCK_SIZE
        self._windows = cache.windows
        device, groups = cache.device, 1 + len(cache.windows)
        self._long = torch.zeros(3, rows, dtype=torch.int64, device=device)
        self._extents = torch.ones(rows, dtype=torch.int64, device=device)
        self._now = torch.zeros(len(cache.windows), rows, dtype=torch.int64, device=device)
        self._about = torch.zeros(rows, ABOUT, dtype=torch.int32, device=device)
        self._pages = torch.zeros(groups, rows * self._room, dtype=torch.int32, device=device)
        self.tokens = self._long[0]
        fixed = [FixedPages(now) for now in self._now]
        facade: Any = FixedCache(
            cache, {id(own): each for own, each in zip(cache.windows, fixed, strict=True)}
        )
        super().__init__((), Numbers([], [], [], []), facade)
        of_pages = {id(each): self._pages[1 + i] for i, each in enumerate(fixed)}
        self.plan = FixedPlan(self._about, splits, {id(None): self._pages[0], **of_pages})
        self._turns = [(rope, rope.angles(self._long[1], self._extents)) for rope in ropes]
        for rope, turns in self._turns:
            self._angles[rope.settings] = turns
        self._all = torch.arange(rows, dtype=torch.int64, device=device)

    @property
    def spans(self) -> Sequence[Span]:
        raise NotRecordable("a layer reads the sequences of a step one by one")

    @spans.setter
    def spans(self, value: Sequence[Span]) -> None:
        """`Batch` sets it; there is none here."""

    @property
    def positions(self) -> Tensor:
        return self._long[1]

    @property
    def extents(self) -> Tensor:
        return self._extents

    @property
    def slots(self) -> Tensor:
        return self._long[2]

    @property
    def wanted(self) -> Tensor:
        return self._all

    @property
    def mutual(self) -> bool:
        return False

    def angles(self, rope: Rotation) -> tuple[Tensor, Tensor]:
        if rope.settings not in self._angles:
            raise NotRecordable("a layer has a rotation that is not its attribute")
        return self._angles[rope.settings]

    def load(self, tokens: Sequence[int], batch: Batch) -> None:
        """Write a batch of as many sequences or fewer, its tokens first; the first one fills what
        is left."""
        count, numbers = len(tokens), batch.numbers
        order = [*range(count), *[0] * (self._rows - count)]
        told = np.array([tokens, numbers.positions, numbers.slots], np.int64)[:, order]
        blocks = told[2] // BLOCK_SIZE
        about = np.empty((self._rows, ABOUT), np.int32)
        about[:, 0], about[:, 1], about[:, 2] = np.arange(self._rows), 1, told[1]
        about[:, 3], about[:, 4] = np.arange(self._rows) * self._room, told[1] + 1
        pages = np.zeros((1 + len(self._windows), self._rows, self._room), np.int32)
        for row, source in enumerate(order):
            span = batch.spans[source]
            held = np.asarray(span.blocks[: -(-span.length // BLOCK_SIZE)], np.int64)
            pages[0, row, : len(held)] = held
            for index, window in enumerate(self._windows):
                pages[1 + index, row, : len(held)] = window.of[held]
        self._put(self._long, told)
        self._put(self._about, about)
        self._put(self._pages, pages.reshape(len(pages), -1))
        if self._windows:
            self._put(self._now, np.stack([window.of[blocks] for window in self._windows]))
        if self._turns:
            self._put(self._extents, np.array(numbers.extents, np.int64)[order])
            for rope, (cos, sin) in self._turns:
                new_cos, new_sin = rope.angles(self._long[1], self._extents)
                cos.copy_(new_cos)
                sin.copy_(new_sin)

    @staticmethod
    def _put(to: Tensor, numbers: Any) -> None:
        to.copy_(torch.from_numpy(np.ascontiguousarray(numbers)))
