"""The events of a response that is made in the background, for whoever reads them, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Recording:
    """Events by their numbers. They come while some read, and stay for those who come later."""

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, event: bytes) -> None:
        """The next event."""
        self._events.append(event)
        self._wake()

    def end(self) -> None:
        """There are no more."""
        self._ended = True
        self._wake()

    async def after(self, number: int) -> AsyncIterator[bytes]:
        """Events that come after one, as long as there are any to come."""
        place = number + 1
        while True:
            found = self._events[place:]
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
