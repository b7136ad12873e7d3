"""Media from the web, for those whose owner lets them: one file, within limits.

The standard library's client: a connection is made to an address that was checked, without asking
for the host again; and neither proxies, cookies nor credentials are anyone's to use here.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin

from tramontane.errors import EngineBusy, RequestError
from tramontane.option_checks import FLAG, Check, above_zero, check_options, whole
from tramontane.version import __version__

from .addresses import Target, refuse_host, target_of
from .bounds import MOST_BYTES

REDIRECTS = (301, 302, 303, 307, 308)
SAID = {"page": "a page"}
UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")
"""Types that say nothing; decoding shows what it is."""
TYPES = {
    "image": ("image/",),
    "audio": ("audio/", "video/", "application/ogg"),
    "video": ("video/", "image/gif", "application/mp4", "application/ogg"),
    "page": ("text/", "application/xhtml+xml", "application/xml", "application/json"),
}
RETRY_AFTER = 5
"""Seconds, for those that came when all slots were taken."""

CHECKS = {
    "hosts": Check("a list of hosts", lambda v: isinstance(v, Sequence) and not isinstance(v, str)),
    "public": FLAG,
    "anywhere": FLAG,
    "most": whole(),
    "seconds": above_zero(),
    "redirects": whole(0),
    "slots": whole(),
}


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """What may be fetched, and how much of it.

    hosts: those that may be reached whatever their addresses, NAME or NAME:PORT. public: whether
    all others at public addresses may be, at ports 80 and 443. anywhere: without these limits, for
    addresses that the user wrote. most: bytes of a conversation's files together. seconds: for all
    of them. redirects: of each, at most. slots: fetches at once; more are turned away.
    """

    hosts: Sequence[str] = ()
    public: bool = True
    anywhere: bool = False
    most: int = MOST_BYTES
    seconds: float = 30.0
    redirects: int = 3
    slots: int = 16
    _free: threading.BoundedSemaphore = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in CHECKS}
        check_options(given, CHECKS)
        for host in self.hosts:
            refuse_host(host)
        object.__setattr__(self, "_free", threading.BoundedSemaphore(self.slots))

    @classmethod
    def of(cls, told: bool | str | Sequence[str] | Fetch | None) -> Fetch | None:
        """As `LLM(fetch=)` has it: True for public addresses, or names of hosts that alone may be
        reached; None, False: nothing is fetched. Raises RequestError."""
        if told is None or isinstance(told, Fetch):
            return told
        if isinstance(told, bool):
            return cls() if told else None
        hosts = (told,) if isinstance(told, str) else told
        if not isinstance(hosts, Sequence) or not all(isinstance(h, str) and h for h in hosts):
            raise RequestError(f"fetch should be True, False or names of hosts, not {told!r:.60}")
        hosts = tuple(hosts)
        return cls(hosts=hosts, public=False) if hosts else None

    def begin(self) -> Fetching:
        """Fetching for one conversation."""
        return Fetching(self)


class Fetching:
    """The files of one conversation: a URL is fetched once, and all share bytes and seconds."""

    def __init__(self, limits: Fetch) -> None:
        self._limits, self._left = limits, limits.most
        self._known: dict[str, bytes] = {}
        self._deadline = 0.0

    def __call__(self, url: str, kind: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The file at a URL. kind: "image", "audio", "video" or "page". headers: for the URL's own
        host, and none that it redirects to. Blocks: for a thread of its own.

        Raises RequestError, EngineBusy where all slots are taken.
        """
        if url in self._known:
            return self._known[url]
        limits = self._limits
        if not limits._free.acquire(blocking=False):
            raise EngineBusy(
                f"{limits.slots} addresses are being fetched already: try again later", RETRY_AFTER
            )
        try:
            self._deadline = self._deadline or time.monotonic() + limits.seconds
            found = self._followed(url, kind, headers or {})
        finally:
            limits._free.release()
        self._left -= len(found)
        self._known[url] = found
        return found

    def _followed(self, url: str, kind: str, headers: Mapping[str, str]) -> bytes:
        limits = self._limits
        for _ in range(limits.redirects + 1):
            target = target_of(url, limits.hosts, public=limits.public, anywhere=limits.anywhere)
            found = self._one(target, kind, self._deadline, headers)
            if isinstance(found, bytes):
                return found
            headers = {}
            secure, url = target.scheme == "https", urljoin(url, found)
            if secure and not url.lower().startswith("https://"):
                raise RequestError(f"{target.host} redirects to {url!r:.80}, which is not https")
        raise RequestError(f"{target.host} redirects more than {limits.redirects} times")

    def _one(
        self, target: Target, kind: str, deadline: float, headers: Mapping[str, str]
    ) -> bytes | str:
        """What is there, or where else it is."""
        late = threading.Event()
        sockets: list[socket.socket] = []

        def cut() -> None:  # a host that sends a byte now and then is cut off too
            late.set()
            for each in sockets:
                _shut(each)

        timer = threading.Timer(max(deadline - time.monotonic(), 0.001), cut)
        timer.daemon = True
        timer.start()
        try:
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.sock = _connected(target, deadline, sockets)
            if late.is_set():
                raise TimeoutError
            connection.request("GET", target.path, headers={
                "Host": target.shown, "User-Agent": f"tramontane/{__version__}",
                "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", **headers,
            })  # fmt: skip
            with connection.getresponse() as answer:
                found = self._read(answer, target, kind)
            if late.is_set():
                raise TimeoutError
            return found
        except RequestError:
            raise
        except Exception as error:  # TLS, HTTP and sockets raise many kinds
            if late.is_set() or isinstance(error, TimeoutError):
                raise RequestError(
                    f"{target.host} did not send it within {self._limits.seconds:g} seconds"
                ) from error
            raise RequestError(f"{target.host} cannot be read from: {_said(error)}") from error
        finally:
            timer.cancel()
            for each in sockets:
                each.close()

    def _read(self, answer: http.client.HTTPResponse, target: Target, kind: str) -> bytes | str:
        where = answer.headers.get("Location")
        if answer.status in REDIRECTS and where:
            return where
        if answer.status != 200:
            raise RequestError(f"{target.host} answers with status {answer.status}, not the file")
        type_ = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if type_ not in UNKNOWN and not type_.startswith(TYPES[kind]):
            raise RequestError(f"{target.host} sends {type_!r:.60}, not {SAID.get(kind, kind)}")
        coding = answer.headers.get("Content-Encoding", "identity").lower()
        if coding != "identity":
            raise RequestError(f"{target.host} sends it compressed ({coding:.20}), unasked")
        too_large = (
            f"{target.host} sends a file that is too large: those of a conversation have at most "
            f"{self._limits.most:,} bytes together"
        )
        if answer.length is not None and answer.length > self._left:
            raise RequestError(too_large)
        parts, size = [], 0
        while part := answer.read(1 << 16):
            size += len(part)
            if size > self._left:
                raise RequestError(too_large)
            parts.append(part)
        if answer.length:  # what was promised and did not come
            raise http.client.IncompleteRead(b"", answer.length)
        return b"".join(parts)


def _connected(target: Target, deadline: float, sockets: list[socket.socket]) -> socket.socket:
    """A connection to the first of the addresses that takes one. sockets: all that were opened."""
    problem: Exception | None = None
    for family, address in target.addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sockets.append(sock)
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock.connect(address)
            if target.scheme == "http":
                return sock
            secure = ssl.create_default_context().wrap_socket(
                sock, server_hostname=target.host, do_handshake_on_connect=False
            )
            sockets.append(secure)
            secure.do_handshake()
            return secure
        except Exception as error:  # noqa: BLE001 - the next address may work
            problem = error
    raise problem or OSError("it has no address")


def _shut(sock: socket.socket) -> None:
    """End what waits for a socket in another thread."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {error}"[:200]
