"""What a placement takes on each of its devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tramontane.engine.state_cache import FEWEST

from .placement import Placement
from .sizes import Sizes


@dataclass(frozen=True)
class Need:
    """Bytes on one device. beside: what is there besides weights and caches: logits, encoded media,
    room for kernels and for translating a tensor."""

    weights: int = 0
    per_token: int = 0
    states: int = 0
    beside: int = 0

    def total(self, tokens: int) -> int:
        """With a context of so many tokens."""
        return self.weights + self.per_token * tokens + self.states + self.beside


def needs(placement: Placement, sizes: Sizes, at_home: int) -> dict[int, Need]:
    """By device. at_home: bytes for logits and encoded media."""
    weights = dict.fromkeys(placement.used, 0)
    tokens, states = dict(weights), dict(weights)
    for path, size in sizes.weights.items():
        weights[placement.index(path)] += size
    for where, what in ((tokens, sizes.per_token), (states, sizes.per_sequence)):
        for layer, size in what.items():
            where[placement.of_layer(layer)] += size
    return {
        index: Need(
            weights[index],
            tokens[index],
            FEWEST * states[index],
            placement.devices[index][0].reserve + sizes.widest + (at_home if index == 0 else 0),
        )
        for index in placement.used
    }


def by_memory(placement: Placement, found: Mapping[int, Need]) -> dict[str, list[int]]:
    """Devices that share a memory, by its name."""
    together: dict[str, list[int]] = {}
    for index in found:
        together.setdefault(placement.devices[index][0].memory, []).append(index)
    return together
