"""A copy of a sequence's keys and values, to be restored into the cache later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .kv_cache import KVCache, slots_of


@dataclass(frozen=True)
class Snapshot:
    """Tokens, and each layer's keys and values in the cache's stored format, (tokens, kv_heads,
    kept_width(d, dtype)), on the CPU."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def take(cls, cache: KVCache, blocks: Sequence[int], tokens: Sequence[int]) -> Snapshot:
        """Copy the first len(tokens) tokens of a sequence."""
        pairs = (layer.take_out(blocks, len(tokens)) for layer in cache.layers)
        layers = tuple((keys.cpu(), values.cpu()) for keys, values in pairs)
        return cls(tuple(tokens), layers)

    def put(self, cache: KVCache, blocks: Sequence[int], count: int) -> None:
        """Write the first `count` tokens into a sequence's blocks."""
        slots = slots_of(blocks, count, cache.device)
        for layer, (keys, values) in zip(cache.layers, self.layers, strict=True):
            layer.put_back(slots, keys[:count].to(cache.device), values[:count].to(cache.device))

    def shared(self, prompt: Sequence[int]) -> int:
        """Length of the common prefix with a prompt, whose last token is always recomputed."""
        count = 0
        for saved, token in zip(self.tokens, prompt[:-1], strict=False):
            if saved != token:
                break
            count += 1
        return count
