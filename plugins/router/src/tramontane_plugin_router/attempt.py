"""One request at one replica, and its answer to the client."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import Send
from tramontane_plugin_server.http.stream import ClientGone

from .failure import broken
from .metrics import RouterMetrics
from .prefix_blocks import Chain
from .replica import Replica
from .stored import Stored
from .upstream import Answer, Header, ReplicaLost, Whole

log = logging.getLogger(__name__)
KEPT = 8 << 20
"""Bytes of an answer that are collected before any are passed on, so that it can be had elsewhere
where its replica is lost."""
END = b"\n\n"


@dataclass
class Asked:
    """A request. target: path and query as they were sent. session: of the server's tools, by its
    name in `Stored`."""

    method: str
    path: str
    target: str
    headers: list[Header]
    body: bytes
    send: Send
    chain: Chain = field(default_factory=Chain)
    session: str | None = None
    begun: bool = False


class Attempts:
    """Sends requests. send_timeout: seconds for a client to take what is sent."""

    def __init__(self, stored: Stored, metrics: RouterMetrics, send_timeout: float) -> None:
        self._stored, self._metrics, self._send_timeout = stored, metrics, send_timeout

    async def make(
        self, asked: Asked, replica: Replica, blocks: int, elsewhere: Callable[[int], bool]
    ) -> Whole | None:
        """None: it is answered; else an answer that another replica may not give. blocks: of the
        prompt that the replica has to compute. elsewhere: whether another replica may be asked
        when the status is this.

        Raises ReplicaLost only where the client was sent nothing so far, ClientGone.
        """
        headers = replica.headers(asked.headers)
        with replica.answers(blocks) as begun:
            async with replica.upstream.answer(
                asked.method, asked.target, headers, asked.body
            ) as answer:
                if elsewhere(answer.status):
                    refused = await answer.complete()
                    if refused.status != 429 or _full(refused.body):
                        return refused
                    await self.whole(asked, refused)
                elif answer.events:
                    await self._events(asked, answer, replica, begun)
                elif asked.method != "HEAD" and (answer.size or KEPT + 1) <= KEPT:
                    found = await answer.complete()
                    if asked.path == "/v1/responses":
                        self._stored.learn(found.body, replica)
                    await self.whole(asked, found)
                else:
                    await self._stream(asked, answer)
        return None

    async def whole(self, asked: Asked, found: Whole) -> None:
        """Send an answer that is complete."""
        headers = [*found.headers, (b"content-length", b"%d" % len(found.body))]
        await self._start(asked, found.status, headers)
        await self._send(asked, found.body, more=False)

    async def _events(
        self, asked: Asked, answer: Answer, replica: Replica, begun: Callable[[], None]
    ) -> None:
        """Whole events only, so that a client never sees half of one."""
        rest = last = b""
        try:
            while data := await answer.read():
                if rest:
                    data = rest + data
                end = data.rfind(END)
                if end < 0:
                    rest = data
                    continue
                last, rest = data[: end + 2], data[end + 2 :]
                if not asked.begun:
                    begun()
                    if asked.path == "/v1/responses":
                        self._stored.learn(last, replica)
                    await self._start(asked, answer.status, answer.headers)
                await self._send(asked, last)
        except ReplicaLost as error:
            if not asked.begun:
                raise
            self._metrics.broken()
            log.warning("replica %s was lost in the middle of an answer: %s", replica.url, error)
            rest = broken(asked.path, last)
        if not asked.begun:
            await self._start(asked, answer.status, answer.headers)
        await self._send(asked, rest, more=False)

    async def _stream(self, asked: Asked, answer: Answer) -> None:
        """Bytes as they come. Where they end too early, so does the client's connection."""
        headers = list(answer.headers)
        if answer.size is not None:
            headers.append((b"content-length", b"%d" % answer.size))
        data = b"" if asked.method == "HEAD" else await answer.read()
        await self._start(asked, answer.status, headers)
        try:
            while data:
                await self._send(asked, data)
                data = await answer.read()
        except ReplicaLost as error:
            self._metrics.broken()
            raise RuntimeError("the replica was lost in the middle of an answer") from error
        await self._send(asked, b"", more=False)

    async def _start(self, asked: Asked, status: int, headers: Sequence[Header]) -> None:
        asked.begun = True
        kept = [one for one in headers if one[0] not in (b"x-request-id", b"request-id", b"server")]
        await asked.send({"type": "http.response.start", "status": status, "headers": kept})

    async def _send(self, asked: Asked, data: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._send_timeout):
                await asked.send({"type": "http.response.body", "body": data, "more_body": more})
        except (TimeoutError, OSError) as error:
            raise ClientGone from error


def _full(body: bytes) -> bool:
    """Whether it is the replica's queue, and not the client's limit, that is used up."""
    try:
        return bool(json.loads(body)["error"].get("code") == "queue_full")
    except (ValueError, KeyError, TypeError, AttributeError):
        return b"queue" in body[:500]
