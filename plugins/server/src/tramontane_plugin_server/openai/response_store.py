"""Stored responses: the most recent ones, in memory."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

from tramontane_plugin_server.http.errors import ApiError

from .response_making import Making

log = logging.getLogger(__name__)


MOST_BYTES = 512 << 20
"""Of all conversations together, each counted whole although those of a chain share their items."""


class ResponseStore:
    """The `most` last used responses, and those that are still made in the background.

    Ids are random: they are known to whom they were told.
    """

    def __init__(self, most: int, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Making] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def put(self, making: Making, task: asyncio.Task[None] | None = None) -> None:
        """Keep a response. task: what makes it in the background."""
        self._kept[making.id] = making
        if task is not None:
            self._tasks[making.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(making.id, None))
        size = sum(one.size for one in self._kept.values())
        for old in list(self._kept.values()):
            if len(self._kept) <= self._most and size <= self._most_bytes:
                break
            if not old.running:
                del self._kept[old.id]
                size -= old.size

    def get(self, identity: str) -> Making:
        """A response. Raises ApiError 404."""
        if identity not in self._kept:
            raise ApiError(
                404, f"there is no response {identity[:100]!r}: the last {self._most} are"
                " kept, until the server stops",
                param="response_id", code="response_not_found",
            )  # fmt: skip
        self._kept.move_to_end(identity)
        return self._kept[identity]

    def finished(self, identity: str) -> Making:
        """A finished response, for one that continues it. Raises ApiError 400."""
        try:
            making = self.get(identity)
        except ApiError as error:
            raise ApiError(
                400, str(error), param="previous_response_id", code="previous_response_not_found"
            ) from error
        if making.status not in ("completed", "incomplete"):
            raise ApiError(
                400, f"{identity} is {making.status}: there is no answer to continue",
                param="previous_response_id",
            )  # fmt: skip
        return making

    async def cancel(self, identity: str) -> Making:
        """Cancel a background response. Raises ApiError."""
        making = self.get(identity)
        if not making.asked.background:
            raise ApiError(400, f"{identity} is no background response, so it cannot be cancelled")
        await self._end(identity)
        return making

    async def delete(self, identity: str) -> None:
        """Delete a response, finished or not. Raises ApiError."""
        self.get(identity)
        await self._end(identity)
        self._kept.pop(identity, None)

    async def close(self) -> None:
        """Cancel all background responses."""
        if self._tasks:
            log.warning("%d background responses end without an answer", len(self._tasks))
        await asyncio.gather(*map(self._end, list(self._tasks)))

    async def _end(self, identity: str) -> None:
        task = self._tasks.get(identity)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
