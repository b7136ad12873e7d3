"""The events of a background response, recorded for clients that read them later."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

from tramontane_plugin_server.http.errors import ApiError

MAX_BYTES = 32 << 20
"""Maximum size of one response's events; the oldest are dropped."""


class Recording:
    """Numbered events, for any number of readers, during and after the generation."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._events: deque[bytes] = deque()
        self._dropped = 0
        self._size, self._max_bytes = 0, max_bytes
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, event: bytes) -> int:
        """Add an event; returns by how many bytes the recording grew."""
        before = self._size
        self._events.append(event)
        self._size += len(event)
        while self._size > self._max_bytes and len(self._events) > 1:
            self._size -= len(self._events.popleft())
            self._dropped += 1
        self._wake()
        return self._size - before

    def end(self) -> None:
        """There are no further events."""
        self._ended = True
        self._wake()

    async def after(self, number: int) -> AsyncIterator[bytes]:
        """The events after a sequence number, until the last.

        Raises ApiError if the next one was dropped.
        """
        position = number + 1
        while True:
            if position < self._dropped:
                raise ApiError(
                    400, f"the events up to {self._dropped - 1} are no longer stored: start after"
                    " that one, or request the response without stream", param="starting_after",
                    code="events_dropped",
                )  # fmt: skip
            found = list(islice(self._events, position - self._dropped, None))
            if found:
                position += len(found)
                yield b"".join(found)
            elif self._ended:
                return
            else:
                await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
