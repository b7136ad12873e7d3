"""Connections between ranks by TCP: who listens, and who connects."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import queue
import socket
import threading
import time
from types import TracebackType

from tramontane.errors import UsageError

from .group import PeerLost
from .handshake import Caller, Stranger, answer, call
from .wire import Wire

log = logging.getLogger(__name__)
GUESTS = 16
"""Connections that may introduce themselves at once."""
BRIEF = 5.0
"""Seconds that one has for it."""
AGAIN = 0.05
"""Seconds between attempts to connect."""
SHORTEST_SECRET = 16
"""Bytes."""


class Door:
    """Listens for other ranks of this machine, or with a secret of any.

    address: where; "": everywhere if there is a secret, else 127.0.0.1. Raises UsageError.
    """

    def __init__(self, port: int, secret: bytes, address: str = "") -> None:
        check_secret(secret, address or "127.0.0.1")
        self._secret = secret
        place = (address or ("0.0.0.0" if secret else "127.0.0.1"), port)
        try:
            self._socket = socket.create_server(place, family=_family(place[0]))
        except OSError as error:
            raise UsageError(
                f"cannot listen at {place[0]}, port {port}: {error.strerror or error}"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        self._came: queue.SimpleQueue[tuple[socket.socket, Caller]] = queue.SimpleQueue()
        self._room = threading.Semaphore(GUESTS)
        self._lock = threading.Lock()
        self._greeted: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._serve, name="tramontane-ranks", daemon=True).start()

    def next(self, size: int, until: float) -> tuple[int, Wire]:
        """The next rank of a group of `size` that comes. until: by `time.monotonic`.

        Raises PeerLost where none does, UsageError for one of another group."""
        try:
            connection, who = self._came.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise PeerLost(f"a rank has not come to port {self.port} in time") from None
        name = f"rank {who.rank} ({_shown(connection)})"
        if who.size != size or who.rank >= size:
            connection.close()
            raise UsageError(f"{name} of {who.size} came to port {self.port}, to a group of {size}")
        return who.rank, Wire(connection, name)

    def admit(self, expected: Caller, until: float) -> Wire:
        """A certain rank. Raises as `next`, and UsageError where another one comes."""
        try:
            rank, wire = self.next(expected.size, until)
        except PeerLost as error:
            raise PeerLost(
                f"rank {expected.rank} has not come to port {self.port} in time"
            ) from error
        if rank != expected.rank:
            wire.close()
            raise UsageError(
                f"{wire.name} came to port {self.port}, where rank {expected.rank} was expected"
            )
        return wire

    def close(self) -> None:
        """Nobody else can come; who has come and was not asked for is sent away."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # or `accept` would go on waiting
        self._socket.close()
        with self._lock:
            self._closed = True
            for each in self._greeted:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        while not self._came.empty():
            self._came.get()[0].close()

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _serve(self) -> None:
        while True:
            self._room.acquire()
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with self._lock:
                self._greeted.add(connection)
            threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        who = None
        try:
            who = answer(connection, self._secret, time.monotonic() + BRIEF)
        except (Stranger, OSError) as error:
            if not self._closed:
                log.warning("port %d: %s was sent away: %s", self.port, _shown(connection), error)
        with self._lock:
            self._greeted.discard(connection)
            if who is None or self._closed:
                connection.close()
            else:
                self._came.put((connection, who))
        self._room.release()


def reach(address: str, port: int, me: Caller, secret: bytes, name: str, until: float) -> Wire:
    """Connect to the rank that listens there, as soon as it does. name: that rank, for people.

    Raises PeerLost where it does not, UsageError for an address that needs a secret."""
    check_secret(secret, address)
    why: object = "nothing listens there"
    refused = ""
    named = f"{name} ({address}:{port})"
    while (left := until - time.monotonic()) > 0:
        try:
            connection = socket.create_connection((address, port), timeout=min(left, BRIEF))
        except OSError as error:
            why = error.strerror or error
            time.sleep(min(AGAIN, left))
            continue
        try:
            call(connection, me, secret, min(until, time.monotonic() + BRIEF))
        except (Stranger, OSError) as error:
            connection.close()
            why = error
            if isinstance(error, Stranger) and refused != str(error):
                refused = str(error)
                log.warning("%s: %s; it is tried again", named, refused)
            time.sleep(min(BRIEF / 10, left))
        else:
            return Wire(connection, named)
    raise PeerLost(f"{named} cannot be reached: {refused or why}")


def check_secret(secret: bytes, address: str) -> None:
    """Raises UsageError for a short one, and for none where another machine can come."""
    if secret and len(secret) < SHORTEST_SECRET:
        raise UsageError(f"a secret of {len(secret)} bytes: at least {SHORTEST_SECRET} are needed")
    if not secret and not is_loopback(address):
        raise UsageError(
            f"{address} is not this machine: ranks on several machines need a shared secret"
        )


def is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _shown(connection: socket.socket) -> str:
    try:
        return "{}:{}".format(*connection.getpeername()[:2])
    except OSError:
        return "somebody"
