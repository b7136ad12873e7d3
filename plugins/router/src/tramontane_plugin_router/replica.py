"""The replicas: where they are, how they are, and what each is doing."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from tramontane_plugin_server.http.hosts import FORWARDED

from .upstream import Address, Upstream, address_of

State = Literal["new", "ready", "waiting", "silent", "down"]
"""ready: answers. waiting: is alive and says that it loads or stops. silent: its health check has
no answer so far. down: nobody listens, or it was silent for too long. new: not looked at yet."""
ALIVE: tuple[State, ...] = ("ready", "waiting", "silent")
"""Of a replica that has what it was given."""
ANSWERING = 4
"""What a request that is being answered counts for, in blocks of a prompt."""


class Replica:
    """One server. key: what it is sent instead of the client's key. running: requests that it is
    answering. work: what they are, in blocks of prompts that it has yet to compute."""

    def __init__(self, url: str, key: str | None = None, trust: ssl.SSLContext | None = None):
        self.url, self.key = url, key
        self.address: Address = address_of(url)
        self.upstream = Upstream(self.address, trust)
        self.state: State = "new"
        self.why = ""
        self.running = 0
        self.work = 0
        self.given = 0
        self.silent_since: float | None = None

    def __repr__(self) -> str:
        return f"<{self.url} {self.state}>"

    @contextlib.contextmanager
    def answers(self, blocks: int) -> Iterator[Callable[[], None]]:
        """While it answers a request. blocks: of the prompt that it has to compute. Yields what is
        to be called once it has."""
        left = blocks
        self.running += 1
        self.given += 1
        self.work += left + ANSWERING

        def begun() -> None:
            nonlocal left
            self.work -= left
            left = 0

        try:
            yield begun
        finally:
            self.running -= 1
            self.work -= left + ANSWERING

    def headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of a request to it: with its own key, where it has one; else by a name that
        it answers to without keys."""
        if self.key is None and self.address.path:  # a socket is called by any name
            return list(given)
        if self.key is None:
            told = [(FORWARDED, value) for name, value in given if name == b"host"]
            return [(b"host", b"localhost"), *told, *(one for one in given if one[0] != b"host")]
        kept = [one for one in given if one[0] not in (b"authorization", b"x-api-key")]
        return [*kept, (b"authorization", b"Bearer " + self.key.encode())]


class Replicas:
    """All of them; the set may change while requests are answered."""

    def __init__(self) -> None:
        self._all: dict[str, Replica] = {}
        self.trust: ssl.SSLContext | None = None

    def __iter__(self) -> Iterator[Replica]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, url: str) -> Replica | None:
        return self._all.get(url)

    def set(self, wanted: dict[str, str | None]) -> list[Replica]:
        """From now on these, by address, each with its key. Returns those that went; what they are
        answering ends as it began. Raises ConfigError."""
        gone = [one for url, one in self._all.items() if wanted.get(url, "") != one.key]
        kept = {url: one for url, one in self._all.items() if one not in gone}
        added = {url: Replica(url, key, self.trust) for url, key in wanted.items()
                 if url not in kept}  # fmt: skip
        self._all = kept | added
        return gone

    def within(self, *states: State) -> list[Replica]:
        """Those in these states."""
        return [one for one in self._all.values() if one.state in states]
