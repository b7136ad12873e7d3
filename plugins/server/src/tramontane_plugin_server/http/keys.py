"""API keys: once one is set, every path needs one but /health, those of --open-path, and files of
plugins' pages."""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from tramontane_plugin_server.key_files import Key

from .access import HttpMetrics, belongs_to
from .errors import ApiError, answer
from .rates import Rates

OPEN = frozenset({"/health"})
IMAGE = re.compile(r"/v1/images/files/[\w-]{32}\.[a-z0-9]{1,8}", re.ASCII)
"""These are names of 192 random bits, each for an hour, as are OpenAI's addresses of images."""
OWNER = b"x-tramontane-owner"
"""From a router, for whom: it counts with an admin key, or where there are no keys."""
ADMIN = frozenset({
    "/v1/models/unload", "/v1/models/reload", "/re_isq", "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
})  # fmt: skip
"""What needs an admin key where there are keys: it changes what the others get."""


class KeyRing:
    """The keys of a server and what is left of their limits; they may be replaced while it runs.

    Digests are compared, all of them and in constant time: neither a key's bytes nor its length
    nor its place in the list shows in how long it takes.
    """

    def __init__(self, keys: Collection[Key], admin: Collection[Key]) -> None:
        self.rates = Rates(())
        self.replace(keys, admin)

    def replace(self, keys: Collection[Key], admin: Collection[Key]) -> None:
        """From now on these. An admin key opens what every key does."""
        self._admin = frozenset(admin)
        self._all = [(_digest(key.value.encode()), key) for key in (*keys, *admin)]
        self.rates.replace((*keys, *admin))

    def __bool__(self) -> bool:
        return bool(self._all)

    def find(self, given: bytes) -> Key | None:
        """The key that this is, or None."""
        digest = _digest(given)
        found = [key for known, key in self._all if hmac.compare_digest(digest, known)]
        return found[-1] if found else None

    def is_admin(self, key: Key) -> bool:
        """Whether it is an admin key. key: found by `find`."""
        return key in self._admin


class Keys:
    """Lets through who brings a key, as `Authorization: Bearer KEY` or `x-api-key: KEY`.

    opened: paths beside /health that need none.
    """

    def __init__(
        self, app: ASGIApp, ring: KeyRing, opened: Collection[str], metrics: HttpMetrics
    ) -> None:
        self._app, self._ring, self._metrics = app, ring, metrics
        self._open = {*OPEN, *opened}
        if "/docs" in self._open:
            self._open.add("/")  # which leads there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._ring or self._opens(scope["path"]):
            if scope["type"] == "http" and not self._ring and (whose := _told(scope)):
                belongs_to("").owner = whose
            await self._app(scope, receive, send)
            return
        error = self._refusal(_given(scope), scope)
        if error is None:
            await self._app(scope, receive, send)
        else:
            await answer(error, scope)(scope, receive, send)

    def _opens(self, path: str) -> bool:
        return path in self._open or IMAGE.fullmatch(path) is not None

    def _charge(self, name: str, tokens: int) -> None:
        self._ring.rates.charge(name, tokens)
        self._metrics.key_tokens(name, tokens)

    def _refusal(self, given: bytes | None, scope: Scope) -> ApiError | None:
        if given is None:
            message = "an API key is required: send it as 'Authorization: Bearer KEY'"
            return ApiError(401, message, code="invalid_api_key")
        key = self._ring.find(given)
        if key is None:
            return ApiError(401, "this API key is not valid", code="invalid_api_key")
        account = belongs_to(key.name)
        # keys without names are different people's all the same
        account.owner = key.name or "key-" + _digest(key.value.encode()).hex()[:32]
        if self._ring.is_admin(key):  # perhaps a router's
            account.owner += _told(scope)
        path = scope["path"].rstrip("/")
        if path in ADMIN and not self._ring.is_admin(key):
            message = "changing which models and adapters there are requires an admin key"
            return ApiError(403, message, code="admin_key_required")
        if scope["method"] != "POST" or path in ADMIN:
            return None
        account.charge = functools.partial(self._charge, key.name)
        refused = self._ring.rates.admit(key.name)
        if refused is None:
            return None
        kind, limit, seconds = refused
        return ApiError(
            429, f"this API key's limit of {limit} {kind} per minute is used up; try again in "
            f"{seconds:.0f} s", code="rate_limit_exceeded", retry_after=seconds,
        )  # fmt: skip


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _told(scope: Scope) -> str:
    """For whom a router says that it asks."""
    told = dict(scope["headers"]).get(OWNER)
    return "|" + _digest(told).hex()[:32] if told else ""


def _given(scope: Scope) -> bytes | None:
    headers = dict(scope["headers"])
    kind, _, key = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() == b"bearer" and key.strip():
        return bytes(key.strip())
    found: bytes | None = headers.get(b"x-api-key")
    return found
