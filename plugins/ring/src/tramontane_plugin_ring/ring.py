"""The group: what a rank has goes to the next one, round the ring, until all have it.

Sums are added by each rank, in the order of the ranks, so that their bits are the same everywhere;
ranks that add up what passes would begin at a different one for each part of a tensor.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Sequence

from torch import Tensor
from tramontane.parallel.combine import add_in_order, as_bytes, from_bytes, side_by_side
from tramontane.parallel.door import Door, reach
from tramontane.parallel.group import LONGEST, Group, PeerLost
from tramontane.parallel.handshake import Caller
from tramontane.parallel.meeting import Meeting
from tramontane.parallel.wire import Receiving, Sending, Wire, exchange

from .config import Place, float_of, place_of

LENGTH = struct.Struct(">Q")


def join(meeting: Meeting) -> Group:
    """Once the neighbours are there. Raises PeerLost, UsageError."""
    wait = meeting.options.get("wait")
    come = float_of("wait", wait) if wait else meeting.time_limit
    place = place_of(meeting)
    bind = meeting.options.get("bind", "")
    return Ring(place, come, meeting.time_limit, meeting.weights, bind)


class Ring:
    """come: seconds that the neighbours have to come; time_limit: in each call."""

    def __init__(
        self, place: Place, come: float, time_limit: float, weights: tuple[float, ...] = (),
        bind: str = "",
    ) -> None:  # fmt: skip
        self.rank, self.size, self.weights = place.rank, place.size, weights
        self.time_limit, self._lost = time_limit, ""
        self._wires: list[Wire] = []
        self._rooms = [memoryview(b"")] * self.size
        if self.size == 1:
            return
        until = time.monotonic() + come
        after, before = (self.rank + 1) % self.size, (self.rank - 1) % self.size
        with Door(place.port, place.secret, bind) as door:
            me, name = Caller(self.rank, self.size), f"rank {after}"
            right = reach(place.right_ip, place.right_port, me, place.secret, name, until)
            self._wires.append(right)
            try:
                self._wires.append(door.admit(Caller(before, self.size), until))
            except BaseException:
                right.close()
                raise

    def all_reduce(self, x: Tensor) -> Tensor:
        if self.size == 1:
            return x
        parts = self.parts(as_bytes(x), [x.numel() * x.element_size()] * self.size)
        return add_in_order(x, [from_bytes(part, x.shape, x) for part in parts])

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        shapes = [(*x.shape[:-1], width) for width in widths]
        sizes = [math.prod(shape) * x.element_size() for shape in shapes]
        parts = self.parts(as_bytes(x), sizes)
        return side_by_side(
            [from_bytes(part, shape, x) for part, shape in zip(parts, shapes, strict=True)]
        )

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        mine = data if data is not None and self.rank == source else b""
        if len(mine) > LONGEST:
            raise ValueError(f"a message of {len(mine)} bytes, of at most {LONGEST}")
        (length,) = LENGTH.unpack(self._pass_on(LENGTH.pack(len(mine)), LENGTH.size, source))
        if length > LONGEST:
            self._fail(f"rank {source} announces a message of {length} bytes")
        return bytes(self._pass_on(mine, length, source)) if length else b""

    def parts(self, mine: bytes | memoryview, sizes: Sequence[int]) -> list[memoryview]:
        """Every rank's bytes, until the next call. sizes: how many each has."""
        if len(mine) != sizes[self.rank]:
            raise ValueError(f"{len(mine)} bytes, where {sizes[self.rank]} were said")
        found = [
            memoryview(mine) if rank == self.rank else self._room(rank, size)
            for rank, size in enumerate(sizes)
        ]
        for turn in range(self.size - 1):
            going = found[(self.rank - turn) % self.size]
            coming = found[(self.rank - turn - 1) % self.size]
            self._exchange(going, coming)
        return found

    def _room(self, rank: int, size: int) -> memoryview:
        """Memory for a rank's bytes, which is used again."""
        if len(self._rooms[rank]) < size:
            self._rooms[rank] = memoryview(bytearray(size))
        return self._rooms[rank][:size]

    def close(self) -> None:
        self._lost = self._lost or f"rank {self.rank} of {self.size} has left the ring"
        for wire in self._wires:
            wire.close()

    def _pass_on(self, data: bytes, length: int, source: int) -> bytes | bytearray:
        """From the source to the right, up to the rank before it."""
        held: bytes | bytearray = data
        if self.rank != source:
            held = bytearray(length)
            self._exchange(None, memoryview(held))
        if (self.rank + 1) % self.size != source:
            self._exchange(memoryview(held), None)
        return held

    def _exchange(self, going: memoryview | None, coming: memoryview | None) -> None:
        """To the right, and from the left."""
        if self._lost:
            raise PeerLost(self._lost)
        right, left = self._wires
        sending = None if going is None else Sending(right, going)
        receiving = None if coming is None else Receiving(left, coming)
        try:
            exchange(self.time_limit, sending, receiving, right.say_alive)
        except PeerLost as error:
            self._fail(error.message)

    def _fail(self, why: str) -> None:
        self._lost = why
        if self._wires:
            self._wires[0].say_lost(why)
        self.close()
        raise PeerLost(why)
