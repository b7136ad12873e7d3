"""A connection to another rank: messages of a known length, and who is gone if it breaks."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable

from .group import PeerLost

HEADER = struct.Struct(">BQ")
"""Before each message: its kind and its bytes."""
DATA, LOST, ALIVE = range(3)
"""Kinds. LOST: a rank is gone, and which one, as text. ALIVE: its sender waits too."""
LONGEST_TEXT = 1000
AT_ONCE = 1 << 20
"""Bytes that are asked for in one read."""
BEATS = 4
"""How often in its time limit a rank that waits says that it is there."""
PATIENCE = 4
"""Time limits after which a rank gives up although all others say that they are there."""


class Wire:
    """A stream socket between two ranks. name: the other one, for people."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.name = name
        self.socket = connection
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say_lost(self, text: str) -> None:
        """Tell the other which rank is gone, if there is room for it; never waits."""
        data = text.encode()[:LONGEST_TEXT]
        with contextlib.suppress(OSError):
            self.socket.send(HEADER.pack(LOST, len(data)) + data)

    def say_alive(self) -> None:
        """Tell the other that this rank waits too. Between messages only. Raises PeerLost."""
        try:
            sent = self.socket.send(HEADER.pack(ALIVE, 0))
        except BlockingIOError:
            return
        except OSError as error:
            raise self.gone(error) from error
        if sent < HEADER.size:
            raise self.gone()

    def gone(self, error: OSError | None = None) -> PeerLost:
        why = "it closed the connection" if error is None else error.strerror or str(error)
        return PeerLost(f"{self.name} is gone: {why}")

    def close(self) -> None:
        self.socket.close()


class Sending:
    """A message on its way out."""

    def __init__(self, wire: Wire, data: memoryview | bytes) -> None:
        self.wire = wire
        body = memoryview(data).cast("B") if len(data) else memoryview(b"")
        self._parts = [memoryview(HEADER.pack(DATA, len(body))), body]

    @property
    def left(self) -> int:
        """Bytes that are to go."""
        return sum(map(len, self._parts))

    def go_on(self) -> bool:
        """Send what can be sent now; whether that was the rest. Raises PeerLost."""
        while any(self._parts):
            try:
                sent = self._sent()
            except BlockingIOError:
                return False
            except OSError as error:
                raise self.wire.gone(error) from error
            while self._parts and sent >= len(self._parts[0]):
                sent -= len(self._parts.pop(0))
            if self._parts:
                self._parts[0] = self._parts[0][sent:]
        return True

    def _sent(self) -> int:
        if hasattr(self.wire.socket, "sendmsg"):  # both in one packet
            return self.wire.socket.sendmsg(self._parts)
        return self.wire.socket.send(next(filter(None, self._parts)))


class Receiving:
    """A message of exactly len(into) bytes on its way in."""

    def __init__(self, wire: Wire, into: memoryview) -> None:
        self.wire, self._into = wire, into
        self.heard = 0
        """How often the other was heard of, be it by a sign of life."""
        self._begin()

    def _begin(self) -> None:
        self._header = bytearray(HEADER.size)
        self._header_left = memoryview(self._header)

    @property
    def left(self) -> int:
        """Bytes that are missing."""
        return len(self._into)

    def go_on(self) -> bool:
        """Receive what is there; whether that was the rest. Raises PeerLost for another length, the
        end of the stream, and where the other says that a rank is gone."""
        try:
            while self._header_left:
                self._header_left = self._filled(self._header_left)
                if not self._header_left and self._is_alive():
                    self._begin()
            while self._into:
                self._into = self._filled(self._into)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self.wire.gone(error) from error
        return True

    def _filled(self, room: memoryview) -> memoryview:
        count = self.wire.socket.recv_into(room, min(len(room), AT_ONCE))
        if not count:
            raise self.wire.gone()
        self.heard += 1
        return room[count:]

    def _is_alive(self) -> bool:
        """Whether the header is of no message; checked before anything is kept."""
        kind, length = HEADER.unpack(self._header)
        if kind == ALIVE and not length:
            return True
        if kind == LOST and length <= LONGEST_TEXT:
            raise PeerLost(self.wire.socket.recv(length).decode("utf-8", "replace"))
        if kind != DATA or length != len(self._into):
            raise PeerLost(
                f"{self.wire.name} sent a message of kind {kind} and {length} bytes where "
                f"{len(self._into)} bytes were due: do all ranks run the same version and model?"
            )
        return False


def exchange(
    time_limit: float,
    sending: Sending | None = None,
    receiving: Receiving | None = None,
    beat: Callable[[], None] | None = None,
) -> None:
    """Send and receive at the same time, so that two ranks that both send much do not wait for each
    other.

    Raises PeerLost when nothing has moved for `time_limit` seconds. beat: called now and then while
    there is nothing to send any more and nothing comes.
    """
    moved = heard = time.monotonic()
    left, signs = -1, -1
    while True:
        if sending is not None and sending.go_on():
            sending = None
        if receiving is not None and receiving.go_on():
            receiving = None
        if sending is None and receiving is None:
            return
        now_left = sum(each.left for each in (sending, receiving) if each is not None)
        now_signs = 0 if receiving is None else receiving.heard
        if now_left != left:
            moved = heard = time.monotonic()
        elif now_signs != signs:
            heard = time.monotonic()
        left, signs = now_left, now_signs
        ready = _wait(sending, receiving, time_limit / BEATS)
        now = time.monotonic()
        silent, still = now - heard >= time_limit, now - moved >= PATIENCE * time_limit
        if (silent and not ready) or still:
            other = (receiving or sending).wire.name  # type: ignore[union-attr]
            raise PeerLost(f"{other} did not answer within {time_limit:g} s")
        if not ready and sending is None and beat is not None:
            beat()


def _wait(sending: Sending | None, receiving: Receiving | None, seconds: float) -> bool:
    """Whether one of them can go on."""
    readers = [] if receiving is None else [receiving.wire.socket]
    writers = [] if sending is None else [sending.wire.socket]
    if not hasattr(select, "poll"):
        return any(select.select(readers, writers, [], seconds))
    poll = select.poll()
    for each in readers:
        poll.register(each, select.POLLIN)
    for each in writers:
        if each in readers:
            poll.modify(each, select.POLLIN | select.POLLOUT)
        else:
            poll.register(each, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
