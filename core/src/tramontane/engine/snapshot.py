"""A copy of a sequence's keys, values and states, to be restored into the cache later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from .kv_cache import BLOCK_SIZE, KVCache, slots_of

EARLIER = 2
"""Snapshots of states before the last token that are copied, for conversations that go on from
there."""


@dataclass(frozen=True)
class Snapshot:
    """Tokens, and each layer's keys and values in the cache's stored format, (tokens, kv_heads,
    kept_width(d, dtype)), on the CPU."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]
    states: Mapping[int, tuple[Tensor, ...]] = field(default_factory=dict)
    """The states of all layers after a number of tokens, in models that keep any."""
    adapters: bytes = b""
    """The digest of the adapters that it was computed with."""

    @classmethod
    def take(
        cls,
        cache: KVCache,
        blocks: Sequence[int],
        tokens: Sequence[int],
        slot: int = 0,
        digests: Sequence[bytes] = (),
        adapters: bytes = b"",
    ) -> Snapshot:
        """Copy the first len(tokens) tokens of a sequence. slot: of its states. digests: of its
        full blocks."""
        pairs = (layer.take_out(blocks, len(tokens)) for layer in cache.layers.values())
        layers = tuple((keys.cpu(), values.cpu()) for keys, values in pairs)
        states: dict[int, tuple[Tensor, ...]] = {}
        if cache.states:
            states[len(tokens)] = cache.states.take_out(slot)
        for count in range(len(digests), 0, -1):
            if len(states) > EARLIER:
                break
            found = cache.states.take_out_snapshot(digests[count - 1])
            if found is not None:
                states.setdefault(count * BLOCK_SIZE, found)
        return cls(tuple(tokens), layers, states, adapters)

    def put(self, cache: KVCache, blocks: Sequence[int], count: int, slot: int = 0) -> None:
        """Write the first `count` tokens into a sequence's blocks, and its states into a slot."""
        for layer, (keys, values) in zip(cache.layers.values(), self.layers, strict=True):
            slots = slots_of(blocks, count, layer.device)
            layer.put_back(slots, keys[:count].to(layer.device), values[:count].to(layer.device))
        if cache.states and count:
            cache.states.put_back(slot, self.states[count])

    def resume(
        self, cache: KVCache, prompt: Sequence[int], blocks: Sequence[int], slot: int
    ) -> int:
        """Write what it shares with a prompt into a sequence's blocks and slot; returns how many
        tokens. Raises what a snapshot of another model may."""
        count = self.shared(prompt)
        cache.ready(blocks[: -(-count // BLOCK_SIZE)])
        self.put(cache, blocks, count, slot)
        return count

    def shared(self, prompt: Sequence[int]) -> int:
        """How many tokens of a prompt it can go on from: of the common prefix, or its part that
        there are states for. A prompt's last token is always recomputed."""
        count = 0
        for saved, token in zip(self.tokens, prompt[:-1], strict=False):
            if saved != token:
                break
            count += 1
        if self.states:
            return max((each for each in self.states if each <= count), default=0)
        return count
