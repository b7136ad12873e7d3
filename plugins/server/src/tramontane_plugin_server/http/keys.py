"""API keys: with one set, every path but /health asks for it."""

from __future__ import annotations

import hashlib
import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import ApiError, answer

OPEN = frozenset({"/health"})


class Keys:
    """Lets through who brings a key, as `Authorization: Bearer KEY` or `x-api-key: KEY`.

    Digests are compared, all of them and in constant time: neither a key's bytes nor its length
    nor its place in the list shows in how long it takes.
    """

    def __init__(self, app: ASGIApp, keys: frozenset[str]) -> None:
        self._app = app
        self._digests = [_digest(key.encode()) for key in sorted(keys)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._digests or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        given = _given(scope)
        if given is None:
            said = "an API key is needed: send it as 'Authorization: Bearer KEY'"
        elif self._knows(given):
            await self._app(scope, receive, send)
            return
        else:
            said = "this API key is not one of ours"
        error = ApiError(401, said, code="invalid_api_key")
        await answer(error, scope)(scope, receive, send)

    def _knows(self, given: bytes) -> bool:
        digest = _digest(given)
        return sum([hmac.compare_digest(digest, known) for known in self._digests]) > 0


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _given(scope: Scope) -> bytes | None:
    headers = dict(scope["headers"])
    kind, _, key = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() == b"bearer" and key.strip():
        return bytes(key.strip())
    found: bytes | None = headers.get(b"x-api-key")
    return found
