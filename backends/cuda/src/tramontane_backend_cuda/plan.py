"""A batch as attention kernels are given it: tiles, pages, and what each token sees."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tramontane.engine.batch import Batch, Span
from tramontane.engine.kv_cache import BLOCK_SIZE, LayerCache

SPLIT = 512
"""Tokens of a split; see `kernels.attention`. Results depend on it."""


@dataclass(frozen=True)
class Tiles:
    """Tiles for one kernel. about: int32 (tiles, 5) on the card, see `kernels.attention`. rows:
    int32, the rows of tokens that are alone in their sequence's piece, if these tiles are of such.
    splits: programs that share a context; 0: each does all of it."""

    about: Tensor
    rows: Tensor
    splits: int


class Plan(Protocol):
    """What attention needs of a batch, whatever the layer."""

    def tiles(self, heads: int, most: int) -> Sequence[Tiles]:
        """With so many heads in each, of prompts for `most` rows, a row being a token with a
        head."""

    def pages(self, cache: LayerCache) -> Tensor:
        """Where the blocks of all sequences lie in a cache, one after the other: int32."""

    def reach(self) -> Tensor:
        """The end of what each token sees, (tokens) int32."""


class BatchPlan:
    """The plan of one batch, made as it is asked for, and once for all layers."""

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        self._spans, self._device = spans, device
        self._tiles: dict[tuple[int, int], list[Tiles]] = {}
        self._pages: dict[int, Tensor] = {}
        self._reach: Tensor | None = None

    def tiles(self, heads: int, most: int) -> Sequence[Tiles]:
        if (heads, most) not in self._tiles:
            self._tiles[heads, most] = self._cut(max(1, most // heads))
        return self._tiles[heads, most]

    def _cut(self, each: int) -> list[Tiles]:
        alone: list[tuple[int, ...]] = []
        others: list[tuple[int, ...]] = []
        place, longest = 0, 0
        for span in self._spans:
            first, end = span.length - span.count, _end(span)
            if span.count == 1:
                alone.append((span.start, 1, first, place, end))
                longest = max(longest, end)
            for at in range(0, span.count if span.count > 1 else 0, each):
                count = min(each, span.count - at)
                last = end if span.mutual else first + at + count
                others.append((span.start + at, count, first + at, place, last))
            place += len(_held(span))
        made = []
        if alone:
            splits = splits_of(longest)
            rows = integers([tile[0] for tile in alone], self._device)
            made.append(Tiles(integers(alone, self._device), rows, splits))
        if others:
            none = torch.empty(0, dtype=torch.int32, device=self._device)
            made.append(Tiles(integers(others, self._device), none, 0))
        return made

    def pages(self, cache: LayerCache) -> Tensor:
        key = id(cache.pages)
        if key not in self._pages:
            blocks = np.array([b for span in self._spans for b in _held(span)], np.int64)
            found = blocks if cache.pages is None else cache.pages.of[blocks]
            self._pages[key] = integers(found, self._device)
        return self._pages[key]

    def reach(self) -> Tensor:
        if self._reach is None:
            parts = []
            for span in self._spans:
                own = np.arange(span.length - span.count, span.length)
                ends = own + 1
                for start, end in span.mutual:
                    ends = np.where((own >= start) & (own < end), np.maximum(ends, end), ends)
                parts.append(ends)
            self._reach = integers(np.concatenate(parts), self._device)
        return self._reach


_plans: weakref.WeakKeyDictionary[Batch, BatchPlan] = weakref.WeakKeyDictionary()


def plan_of(batch: Batch) -> Plan:
    """The plan of a batch: its own, or one that lives as long as it."""
    own: Plan | None = getattr(batch, "plan", None)
    if own is not None:
        return own
    if batch not in _plans:
        _plans[batch] = BatchPlan(batch.spans, batch.cache.device)
    return _plans[batch]


def splits_of(length: int) -> int:
    """Programs for a context of so many tokens: a power of two, or 0 for one that is short."""
    count = -(-length // SPLIT)
    return 0 if count <= 1 else 1 << (count - 1).bit_length()


def integers(numbers: Any, device: torch.device) -> Tensor:
    """int32 on the device."""
    return torch.from_numpy(np.ascontiguousarray(numbers, np.int32)).to(device)


def _held(span: Span) -> Sequence[int]:
    return span.blocks[: -(-_end(span) // BLOCK_SIZE)]


def _end(span: Span) -> int:
    """The end of what its tokens see."""
    return max([span.length, *(end for _, end in span.mutual)])
