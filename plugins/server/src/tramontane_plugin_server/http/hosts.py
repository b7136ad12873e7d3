"""By which names a server without keys may be called: a page of the web can have its own name lead
to this machine (DNS rebinding), and then asks as if it were the server's own page."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import ApiError, answer

log = logging.getLogger(__name__)
FORWARDED = b"x-forwarded-host"
"""From a router, by which name it was called itself: addresses in answers are made of it."""
MOST_TOLD = 16
"""Names that the log tells of."""
PRIVATE = (".localhost", ".internal")
"""Ends of names that nobody can register; those of a single word are of a network's own, too."""


class Hosts:
    """Refuses others while there are no keys. names: allowed beside addresses, this machine and
    names that nobody outside can lead here."""

    def __init__(self, app: ASGIApp, keys: object, names: Iterable[str]) -> None:
        own = socket.gethostname().lower()
        self._app, self._keys = app, keys
        self._told: set[str] = set()
        self._names = {"localhost", own, f"{own}.local", *map(_name, names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        given = headers.get(b"host", b"").decode("latin-1")
        if scope["type"] != "http" or self._keys or self._known(given):
            if (told := headers.get(FORWARDED)) is not None:
                kept = [one for one in scope["headers"] if one[0] != b"host"]
                scope["headers"] = [(b"host", told), *kept]
            await self._app(scope, receive, send)
            return
        if given not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(given)
            log.warning("refused a request to %r: to answer it, --allowed-host %s", given, given)
        error = ApiError(
            403, f"without API keys this server does not answer to the name {given[:100]!r}: its "
            "owner can allow the name, or set a key", code="host_not_allowed",
        )  # fmt: skip
        await answer(error, scope)(scope, receive, send)

    def _known(self, given: str) -> bool:
        try:
            host = _name(given)
            if not given or host in self._names or "." not in host or host.endswith(PRIVATE):
                return True
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _name(given: str) -> str:
    """Without a port. Raises ValueError."""
    return (urlsplit(f"//{given}").hostname or "").rstrip(".")
