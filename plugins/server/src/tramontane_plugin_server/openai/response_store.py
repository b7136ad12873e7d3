"""Stored responses: the most recent ones, in memory."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

from tramontane_plugin_server.http.errors import ApiError

from .response_state import ResponseState

log = logging.getLogger(__name__)


MAX_BYTES = 512 << 20
"""Maximum size of all stored conversations; items that a chain shares are counted for each."""


class ResponseStore:
    """The `max_count` most recently used responses, and background responses in progress.

    Ids are random, so that only who created a response knows its id.
    """

    def __init__(self, max_count: int, max_bytes: int = MAX_BYTES) -> None:
        self._max_count, self._max_bytes = max_count, max_bytes
        self._responses: OrderedDict[str, ResponseState] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def put(self, state: ResponseState, task: asyncio.Task[None] | None = None) -> None:
        """Store a response. task: the one that generates it in the background."""
        self._responses[state.id] = state
        if task is not None:
            self._tasks[state.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(state.id, None))
        size = sum(one.size for one in self._responses.values())
        for old in list(self._responses.values()):
            if len(self._responses) <= self._max_count and size <= self._max_bytes:
                break
            if not old.running:
                del self._responses[old.id]
                size -= old.size

    def get(self, identity: str) -> ResponseState:
        """A response. Raises ApiError 404."""
        if identity not in self._responses:
            raise ApiError(
                404, f"there is no response {identity[:100]!r}: the last {self._max_count} are"
                " kept, until the server stops",
                param="response_id", code="response_not_found",
            )  # fmt: skip
        self._responses.move_to_end(identity)
        return self._responses[identity]

    def finished(self, identity: str) -> ResponseState:
        """A finished response, for one that continues it. Raises ApiError 400."""
        try:
            state = self.get(identity)
        except ApiError as error:
            raise ApiError(
                400, str(error), param="previous_response_id", code="previous_response_not_found"
            ) from error
        if state.status not in ("completed", "incomplete"):
            raise ApiError(
                400, f"{identity} is {state.status}: there is no answer to continue",
                param="previous_response_id",
            )  # fmt: skip
        return state

    async def cancel(self, identity: str) -> ResponseState:
        """Cancel a background response. Raises ApiError."""
        state = self.get(identity)
        if not state.body.background:
            raise ApiError(400, f"{identity} is no background response, so it cannot be cancelled")
        await self._end(identity)
        return state

    async def delete(self, identity: str) -> None:
        """Delete a response, finished or not. Raises ApiError."""
        self.get(identity)
        await self._end(identity)
        self._responses.pop(identity, None)

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
