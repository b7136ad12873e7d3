"""HTTP to one replica, by aiohttp: it takes half of httpx's time for each piece of a stream."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from tramontane.errors import ConfigError
from yarl import URL

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Header = tuple[bytes, bytes]
CONNECT = 5.0
IDLE = 4.0
"""Seconds that a connection is kept unused: less than the 5 after which our server closes it."""
OF_A_CONNECTION = frozenset({
    b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade",
    b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"expect",
    b"content-length",
})  # fmt: skip
"""Headers that are not passed on (RFC 9110, 7.6.1), and those that are made anew."""
OWN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that aiohttp would add."""


class ReplicaLost(Exception):
    """The replica did not answer, or not to the end. refused: nobody listens there."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class Address(NamedTuple):
    """Where a replica listens. path: of a Unix socket."""

    url: str
    path: str = ""


def address_of(given: str) -> Address:
    """Of http://HOST:PORT, https://HOST:PORT or unix:PATH. Raises ConfigError."""
    said = f"{given!r} is not the address of a replica: "
    if given.startswith("unix:"):
        if not (path := given.removeprefix("unix:")):
            raise ConfigError(f"{said}unix: needs a path")
        return Address("http://localhost", path)
    try:
        parts = urlsplit(given)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise ConfigError(f"{said}write http://HOST:PORT, https://HOST:PORT or unix:PATH")
    if parts.path not in ("", "/") or parts.query or parts.username is not None:
        raise ConfigError(f"{said}it should end with the port, without a path or a user's name")
    return Address(f"{parts.scheme}://{parts.netloc}")


class Whole(NamedTuple):
    """A complete answer; status 0: there was none."""

    status: int
    headers: list[Header]
    body: bytes

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300


class Answer:
    """An answer whose head has come, to be read."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: list[Header] = [
            (name.lower(), value)
            for name, value in response.raw_headers
            if name.lower() not in OF_A_CONNECTION
        ]
        self.size = response.content_length
        self.events = response.content_type == "text/event-stream"

    async def read(self) -> bytes:
        """What has come since; empty at the end. Raises ReplicaLost."""
        with _lost():
            return await self._response.content.readany()

    async def whole(self) -> bytes:
        """All of its body. Raises ReplicaLost."""
        with _lost():
            return await self._response.read()

    async def complete(self) -> Whole:
        """All of it. Raises ReplicaLost."""
        return Whole(self.status, self.headers, await self.whole())


class Upstream:
    """The connections to one replica. For one event loop."""

    def __init__(self, address: Address, trust: ssl.SSLContext | None = None) -> None:
        self._address, self._trust = address, trust
        self._session: ClientSession | None = None
        self._waiting: set[asyncio.Timeout] = set()
        self._answers: set[ClientResponse] = set()

    @contextlib.asynccontextmanager
    async def answer(
        self, method: str, target: str, headers: Sequence[Header], body: bytes = b""
    ) -> AsyncIterator[Answer]:
        """The answer once its head has come; on leaving, what is not read of it is given up.

        target: path and query as they were sent. Raises ReplicaLost.
        """
        if self._session is None or self._session.closed:
            self._session = self._open()
        sent = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name not in OF_A_CONNECTION
        ]
        with _lost():
            async with asyncio.timeout(None) as scope:
                self._waiting.add(scope)
                try:
                    response = await self._session.request(
                        method, URL(self._address.url + target, encoded=True), headers=sent,
                        data=body or None, allow_redirects=False, skip_auto_headers=OWN,
                    )  # fmt: skip
                finally:
                    self._waiting.discard(scope)
        self._answers.add(response)
        try:
            yield Answer(response)
        finally:
            self._answers.discard(response)
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def abort(self) -> None:
        """End all connections: whoever waits for an answer gets ReplicaLost.

        Closing a session alone would leave readers waiting for ever.
        """
        while self._waiting:
            self._waiting.pop().reschedule(0)
        for response in list(self._answers):
            response.content.set_exception(aiohttp.ClientConnectionError("it was given up"))
        if self._session is not None:
            await self._session.close()

    def _open(self) -> ClientSession:
        connector: aiohttp.BaseConnector
        if self._address.path:
            connector = aiohttp.UnixConnector(self._address.path, limit=0, keepalive_timeout=IDLE)
        else:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE, ssl=self._trust or True, ttl_dns_cache=10
            )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
        return aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18,
        )  # fmt: skip


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise ReplicaLost(f"cannot connect: {error.strerror or error}", refused=True) from error
    except aiohttp.ServerDisconnectedError as error:
        raise ReplicaLost("it closed the connection") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ReplicaLost(str(error) or type(error).__name__) from error
    except RuntimeError as error:  # the session was closed meanwhile
        if "closed" not in str(error):
            raise
        raise ReplicaLost("it was given up") from error
