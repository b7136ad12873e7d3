"""A request's body: whole, in time, and not larger than allowed, before anything looks at it."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError, answer

MOST_DRAINED = 256 << 20
"""Bytes of a refused body that are read for nothing: many clients look for an answer only once they
have sent all, and find none on a connection that was closed while they wrote."""
DRAIN_SECONDS = 10.0


class Body:
    """Reads the body. most: bytes. timeout: seconds for all of it."""

    def __init__(self, app: ASGIApp, most: int, timeout: float) -> None:
        self._app, self._most, self._timeout = app, most, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout):
                body = await self._read(scope, receive)
        except TimeoutError:
            error = ApiError(408, f"the body did not arrive within {self._timeout:g} s")
            await _refuse(error, scope, receive, send)
            return
        except ApiError as error:
            await _refuse(error, scope, receive, send)
            return
        if body is None:  # the client has gone
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        if _declared(scope) > self._most:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._most:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> ApiError:
        return ApiError(
            413, f"the body is larger than {self._most} bytes, the most that this server reads"
        )


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, and end the answer once the rest of the body is read and dropped."""
    response = answer(error, scope)
    response.headers["connection"] = "close"  # the rest of the body is not wanted
    await send(
        {"type": "http.response.start", "status": error.status, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    waits = _asks_first(scope) or _declared(scope) > MOST_DRAINED
    if error.status == 413 and not waits:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    left, more = MOST_DRAINED, True
    while more and left > 0:
        message = await receive()  # a client that has gone has no body
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


def _declared(scope: Scope) -> int:
    """Bytes of the body, as its header has them; 0 where it does not say."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


def _asks_first(scope: Scope) -> bool:
    """Whether the client sends the body only when it is told to."""
    return bool(dict(scope["headers"]).get(b"expect", b"").lower() == b"100-continue")
