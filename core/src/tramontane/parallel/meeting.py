"""What a rank is told of the group that it is to join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tramontane.errors import UsageError

from .group import TIME_LIMIT

MOST = 64
"""Ranks of a group."""
MOST_PORTS = 65535


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Where the ranks of one model meet. All are told the same, each with its own rank.

    Raises UsageError for what cannot be.
    """

    rank: int
    """This process, from 0."""
    size: int
    """How many there are."""
    address: str = "127.0.0.1"
    """Of rank 0's machine."""
    port: int = 0
    """At which rank 0 waits for the others. Of two models on a machine each has its own."""
    folder: Path | None = None
    """Where ranks of one machine may meet instead, which only their user can enter."""
    secret: bytes = field(default=b"", repr=False)
    """What the ranks know and nobody else; empty: none, and only one machine then."""
    device: str = "cpu"
    """Where this rank's tensors are, as torch names it."""
    time_limit: float = TIME_LIMIT
    """Seconds that a rank waits for the others, when they meet and in each call."""
    weights: tuple[float, ...] = ()
    """How much of the model each rank is to have, relative to the others; empty: all the same."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The interconnect's own, all of them."""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MOST:
            raise UsageError(f"size={self.size}: a group has 1 to {MOST} ranks")
        if not 0 <= self.rank < self.size:
            raise UsageError(
                f"rank={self.rank}: of {self.size} ranks, must be 0 to {self.size - 1}"
            )
        if not 0 <= self.port <= MOST_PORTS:
            raise UsageError(f"port={self.port} must be 0 to {MOST_PORTS}")
        if not 0 < self.time_limit <= 86400:
            raise UsageError(f"time_limit={self.time_limit} must be seconds, up to a day")
        check_weights(self.weights, self.size)


def check_weights(weights: tuple[float, ...], size: int) -> None:
    """Raises UsageError unless there is none, or a positive number for each rank."""
    if weights and (len(weights) != size or not all(0 < each < 1e6 for each in weights)):
        raise UsageError(f"weights={weights}: {size} ranks need {size} numbers above 0")
