"""What the processes that compute one model together exchange numbers with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tramontane.errors import TramontaneError

if TYPE_CHECKING:
    from torch import Tensor

TIME_LIMIT = 30.0
"""Seconds that a rank waits for the others, unless told otherwise."""
LONGEST = 1 << 28
"""Bytes of the longest broadcast."""


class PeerLost(TramontaneError):
    """A rank has ended, or did not answer within the time limit; the message names it if it is
    known. The group is of no use any more."""


class Group(Protocol):
    """The ranks of one model. All of them call the same methods in the same order, with tensors of
    the same shapes; each call returns within the group's time limit or raises PeerLost.

    Every number of a result has the same bits on all ranks, and from run to run.
    """

    rank: int
    """This process, from 0."""
    size: int
    """How many there are."""
    weights: tuple[float, ...]
    """How much of the model each rank is to have, relative to the others; empty: all the same."""

    def all_reduce(self, x: Tensor) -> Tensor:
        """x: floats of any shape, contiguous -> x, now the sum over ranks, added in float32 in the
        order of the ranks: the bits of a number do not depend on its place in the tensor."""

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        """x: (..., widths[rank]) -> (..., sum of widths): every rank's part, in their order."""

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        """The bytes that rank `source` gives, on every rank; the others give None."""

    def close(self) -> None:
        """Leave the group; the others' calls then raise PeerLost. May be called more than once."""


class Leads(Protocol):
    """What rank 0 tells the others by."""

    @property
    def lost(self) -> str:
        """Why the ranks compute nothing any more; empty: they do."""

    def lead(self, model: Any, cache: Any) -> None:
        """Tell them each step of this model, with this cache of keys and values, from now on."""
