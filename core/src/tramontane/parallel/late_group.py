"""A group whose ranks come together after each has loaded its share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .group import Group, PeerLost

if TYPE_CHECKING:
    from torch import Tensor


class LateGroup:
    """A `Group` that knows its size from the beginning, and the others from `meet` on."""

    def __init__(self, rank: int, size: int, weights: tuple[float, ...] = ()) -> None:
        self.rank, self.size, self.weights = rank, size, weights
        self._met: Group | None = None
        self._closed = False

    def meet(self, group: Group) -> None:
        """The others are there."""
        self._met = group

    def all_reduce(self, x: Tensor) -> Tensor:
        return self._inner().all_reduce(x)

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        return self._inner().all_gather(x, widths)

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        return self._inner().broadcast(data, source)

    def close(self) -> None:
        self._closed = True
        if self._met is not None:
            self._met.close()

    def _inner(self) -> Group:
        if self._met is None or self._closed:
            raise PeerLost(f"rank {self.rank} of {self.size} has left, or not met the others yet")
        return self._met
