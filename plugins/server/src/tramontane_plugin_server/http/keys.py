"""API keys: with one set, every path but /health and those that the owner opens asks for it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import ApiError, answer

OPEN = frozenset({"/health"})
ADMIN = frozenset({"/v1/models/unload", "/v1/models/reload"})
"""What needs an admin key where there are keys: it changes what the others get."""


class KeyRing:
    """The keys of a server; they may be replaced while it runs.

    Digests are compared, all of them and in constant time: neither a key's bytes nor its length
    nor its place in the list shows in how long it takes.
    """

    def __init__(self, keys: Iterable[str], admin: Iterable[str]) -> None:
        self.replace(keys, admin)

    def replace(self, keys: Iterable[str], admin: Iterable[str]) -> None:
        """From now on these. An admin key opens what every key does."""
        self._admin = [_digest(key.encode()) for key in sorted(admin)]
        self._all = [*(_digest(key.encode()) for key in sorted(keys)), *self._admin]

    def __bool__(self) -> bool:
        return bool(self._all)

    def knows(self, given: bytes) -> bool:
        """Whether it is one of the keys."""
        return _among(given, self._all)

    def is_admin(self, given: bytes) -> bool:
        """Whether it is an admin key."""
        return _among(given, self._admin)


class Keys:
    """Lets through who brings a key, as `Authorization: Bearer KEY` or `x-api-key: KEY`.

    opened: paths beside /health that need none.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing, opened: Collection[str]) -> None:
        self._app, self._ring = app, ring
        self._open = {*OPEN, *opened}
        if "/docs" in self._open:
            self._open.add("/")  # which leads there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._ring or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        error = self._refusal(_given(scope), scope["path"])
        if error is None:
            await self._app(scope, receive, send)
        else:
            await answer(error, scope)(scope, receive, send)

    def _refusal(self, given: bytes | None, path: str) -> ApiError | None:
        if given is None:
            said = "an API key is needed: send it as 'Authorization: Bearer KEY'"
            return ApiError(401, said, code="invalid_api_key")
        if not self._ring.knows(given):
            return ApiError(401, "this API key is not one of ours", code="invalid_api_key")
        if path.rstrip("/") in ADMIN and not self._ring.is_admin(given):
            said = "loading and unloading models needs an admin key; the server's owner gives them"
            return ApiError(403, said, code="admin_key_required")
        return None


def _among(given: bytes, digests: list[bytes]) -> bool:
    digest = _digest(given)
    return sum([hmac.compare_digest(digest, known) for known in digests]) > 0


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _given(scope: Scope) -> bytes | None:
    headers = dict(scope["headers"])
    kind, _, key = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() == b"bearer" and key.strip():
        return bytes(key.strip())
    found: bytes | None = headers.get(b"x-api-key")
    return found
