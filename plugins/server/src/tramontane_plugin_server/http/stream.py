"""Answers that take a while: streams of events, and single ones, both gone with their client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .errors import ApiError

T = TypeVar("T")
COMMENT = b": keep-alive\n\n"


class ClientGone(Exception):
    """Nobody waits for the answer any longer."""


def event(data: Any, name: str | None = None) -> bytes:
    """A server-sent event (HTML standard, 9.2.6); data: JSON, or a text as it is."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {text}\n\n".encode()


class EventStream(Response):
    """Events as they come.

    What fails before the first event, or within `keep_alive` seconds of silence, is raised, and so
    becomes a status; what fails later becomes the event that `failed` makes of it. In silence a
    comment is sent every `keep_alive` seconds. timeout: seconds for all of it. send_timeout: for
    the client to take one event.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[bytes],
        failed: Callable[[Exception], bytes],
        *,
        keep_alive: float,
        timeout: float,
        send_timeout: float,
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-cache"
        self.headers["x-accel-buffering"] = "no"  # proxies shall not collect it
        self._events, self._failed = events, failed
        self._keep_alive, self._timeout, self._send_timeout = keep_alive, timeout, send_timeout
        self._started = False
        self._sending = asyncio.Lock()
        self._last = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        silence = asyncio.create_task(self._break_silence(send))
        main = asyncio.create_task(self._run(send))
        try:
            await asyncio.wait({gone, main, silence}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, silence, main):
                if not (task is main and task.done()):
                    task.cancel()
            await asyncio.gather(gone, silence, main, return_exceptions=True)
        if not main.cancelled():
            main.result()

    async def _run(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout), aclosing(self._events) as events:  # type: ignore[type-var]
                async for data in events:
                    await self._send(send, data)
                if not self._started:  # no events are an answer too
                    await self._send(send, b"")
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception as error:
            if isinstance(error, TimeoutError):
                error = ApiError(504, f"the answer was not complete within {self._timeout:g} s")
            if not self._started:
                raise error from None
            await self._send(send, self._failed(error))
        if self._started:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _break_silence(self, send: Send) -> None:
        self._last = asyncio.get_running_loop().time()
        while True:
            silent = asyncio.get_running_loop().time() - self._last
            if silent >= self._keep_alive:
                await self._send(send, COMMENT)
            else:
                await asyncio.sleep(self._keep_alive - silent)

    async def _send(self, send: Send, data: bytes) -> None:
        async with self._sending:
            try:
                async with asyncio.timeout(self._send_timeout):
                    if not self._started:
                        self._started = True
                        await send({
                            "type": "http.response.start", "status": self.status_code,
                            "headers": self.raw_headers,
                        })  # fmt: skip
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except (TimeoutError, OSError) as error:
                raise ClientGone from error
        self._last = asyncio.get_running_loop().time()


async def while_here(request: Request, work: Awaitable[T], timeout: float) -> T:
    """What `work` returns, given up when the client goes or `timeout` seconds are over.

    Raises ApiError.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_disconnected(request.receive))
    try:
        await asyncio.wait({task, gone}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ApiError(499, "the client has gone")
        raise ApiError(504, f"there was no answer within {timeout:g} s")
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
