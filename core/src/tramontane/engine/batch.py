"""One forward pass's worth of tokens, of any number of sequences, in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tramontane.blocks.rope import Rope

    from .kv_cache import KVCache


@dataclass(frozen=True)
class Span:
    """One sequence's tokens in a batch: rows start..start+count, the last of `length` tokens."""

    start: int
    count: int
    length: int
    blocks: Sequence[int]
    """The cache blocks that hold the sequence's first `length` tokens, in order."""


@dataclass
class Batch:
    """What a model is told beside the tokens themselves. Every tensor is on the cache's device."""

    spans: Sequence[Span]
    positions: Tensor
    """(tokens) int64."""
    extents: Tensor
    """(tokens) int64: context length when the token was first seen (prompt length, or itself)."""
    slots: Tensor
    """(tokens) int64: where each token's key and value go, block * block_size + offset."""
    wanted: Tensor
    """(rows) int64: the tokens whose logits are asked for."""
    cache: KVCache
    _angles: dict[tuple[object, ...], tuple[Tensor, Tensor]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        pieces: Sequence[tuple[int, int, int, Sequence[int], Sequence[int]]],
        cache: KVCache,
    ) -> Batch:
        """From (first position, count, extent, blocks, wanted offsets) of each sequence."""
        spans: list[Span] = []
        positions: list[int] = []
        extents: list[int] = []
        slots: list[int] = []
        wanted: list[int] = []
        start = 0
        for first, count, extent, blocks, offsets in pieces:
            spans.append(Span(start, count, first + count, blocks))
            for position in range(first, first + count):
                positions.append(position)
                extents.append(max(extent, position + 1))
                slots.append(
                    blocks[position // cache.block_size] * cache.block_size
                    + position % cache.block_size
                )
            wanted.extend(start + offset for offset in offsets)
            start += count

        # one tensor: four small ones cost a small model's step a percent
        numbers = torch.tensor([*positions, *extents, *slots, *wanted], dtype=torch.int64)
        each, places, slots_, rows = numbers.to(cache.device).split([start] * 3 + [len(wanted)])
        return cls(spans, each, places, slots_, rows, cache)

    def angles(self, rope: Rope) -> tuple[Tensor, Tensor]:
        """A rotation's cos and sin for these positions, computed once however many layers ask."""
        key = (rope.dim, rope.theta, rope.scaling)
        if key not in self._angles:
            self._angles[key] = rope.angles(self.positions, self.extents)
        return self._angles[key]
