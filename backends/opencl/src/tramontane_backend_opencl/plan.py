"""A batch as attention kernels are given it: pages, slots, angles, and what each token sees."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.engine.batch import Batch, Rotation, Span
from tramontane.engine.kv_cache import BLOCK_SIZE, LayerCache

ABOUT = 3
"""Numbers of a token: place of its sequence in the pages, position, end of what it sees."""


class Plan:
    """The plan of one batch, made as it is asked for, once for all layers."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self._spans, self._numbers, self._device = batch.spans, batch.numbers, device
        self._pages: dict[int, Tensor] = {}
        self._slots: dict[int, Tensor] = {}
        self._angles: dict[Any, tuple[Tensor, Tensor]] = {}
        about, place = [], 0
        for span in self._spans:
            position = np.arange(span.length - span.count, span.length)
            high = position + 1
            for start, end in span.mutual:
                inside = (position >= start) & (position < end)
                high = np.where(inside, np.maximum(high, end), high)
            about.append(np.stack([np.full(span.count, place), position, high], 1))
            place += len(_held(span))
        told = np.concatenate(about) if about else np.empty((0, ABOUT))
        self.about = _integers(told, device)
        """(tokens, 3) int32, see ABOUT."""
        self.longest = max([_end(span) for span in self._spans], default=0)

    def pages(self, cache: LayerCache) -> Tensor:
        """Where the blocks of all sequences lie in a cache, one after the other: int32."""
        key = id(cache.pages)
        if key not in self._pages:
            blocks = np.array([b for span in self._spans for b in _held(span)], np.int64)
            found = blocks if cache.pages is None else cache.pages.of[blocks]
            self._pages[key] = _integers(found, self._device)
        return self._pages[key]

    def slots(self, cache: LayerCache) -> Tensor:
        """Where each token's key and value go in a cache: int32, page * 16 + place."""
        key = id(cache.pages)
        if key not in self._slots:
            slots = np.array(self._numbers.slots, np.int64)
            if cache.pages is not None:
                slots = cache.pages.of[slots // BLOCK_SIZE] * BLOCK_SIZE + slots % BLOCK_SIZE
            self._slots[key] = _integers(slots, self._device)
        return self._slots[key]

    def angles(self, rope: Rotation) -> tuple[Tensor, Tensor]:
        """cos and sin, (tokens, dim / 2) float32, computed on the processor."""
        if rope.settings not in self._angles:
            positions, extents = (
                torch.tensor(each, dtype=torch.int64)
                for each in (self._numbers.positions, self._numbers.extents)
            )
            both = rope.angles(positions, extents)
            cos, sin = (each.flatten(1).contiguous().to(self._device) for each in both)
            self._angles[rope.settings] = cos, sin
        return self._angles[rope.settings]


_plans: weakref.WeakKeyDictionary[Batch, Plan] = weakref.WeakKeyDictionary()


def plan_of(batch: Batch) -> Plan:
    """The plan of a batch, which lives as long as it."""
    if batch not in _plans:
        _plans[batch] = Plan(batch, batch.cache.device)
    return _plans[batch]


def _integers(numbers: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers, np.int32)).to(device)


def _held(span: Span) -> Sequence[int]:
    return span.blocks[: -(-_end(span) // BLOCK_SIZE)]


def _end(span: Span) -> int:
    """The end of what its tokens see."""
    return max([span.length, *(end for _, end in span.mutual)])
