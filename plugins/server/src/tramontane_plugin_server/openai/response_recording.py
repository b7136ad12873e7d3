"""The events of a background response, recorded for clients that read them later."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

from tramontane_plugin_server.http.errors import ApiError

MOST_BYTES = 32 << 20
"""Maximum size of one response's events; the oldest are dropped."""


class Recording:
    """Events by their numbers. They come while some read, and stay for those who come later."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._events: deque[bytes] = deque()
        self._dropped = 0
        self._size, self._most = 0, most
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, event: bytes) -> int:
        """The next event. By how many bytes there are more now."""
        before = self._size
        self._events.append(event)
        self._size += len(event)
        while self._size > self._most and len(self._events) > 1:
            self._size -= len(self._events.popleft())
            self._dropped += 1
        self._wake()
        return self._size - before

    def end(self) -> None:
        """There are no more."""
        self._ended = True
        self._wake()

    async def after(self, number: int) -> AsyncIterator[bytes]:
        """Events that come after one, as long as there are any to come.

        Raises ApiError for one that is dropped.
        """
        place = number + 1
        while True:
            if place < self._dropped:
                raise ApiError(
                    400, f"the events up to {self._dropped - 1} are no longer stored: start after"
                    " that one, or request the response without stream", param="starting_after",
                    code="events_dropped",
                )  # fmt: skip
            found = list(islice(self._events, place - self._dropped, None))
            if found:
                place += len(found)
                yield b"".join(found)
            elif self._ended:
                return
            else:
                await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
