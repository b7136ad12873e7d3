"""Images that were made, at addresses for an hour."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from typing import NamedTuple

HOLDS = 3600.0
"""Seconds."""
MOST = 256 << 20
"""Bytes of all of them; the oldest go first."""


class StoredImage(NamedTuple):
    data: bytes
    media_type: str
    until: float


class ImageStore:
    """Names that cannot be guessed, each with an image. For one event loop."""

    def __init__(self, *, holds: float = HOLDS, most: int = MOST) -> None:
        self.holds, self._most = holds, most
        self._found: OrderedDict[str, StoredImage] = OrderedDict()
        self._bytes = 0

    def put(self, data: bytes, ending: str, media_type: str) -> str:
        """Its name."""
        self._forget()
        while self._found and self._bytes + len(data) > self._most:
            self._drop(next(iter(self._found)))
        name = f"{secrets.token_urlsafe(24)}.{ending}"
        self._found[name] = StoredImage(data, media_type, time.monotonic() + self.holds)
        self._bytes += len(data)
        return name

    def get(self, name: str) -> StoredImage | None:
        """None where there was none, or its time is over."""
        self._forget()
        return self._found.get(name)

    def _forget(self) -> None:
        now = time.monotonic()
        while self._found and next(iter(self._found.values())).until <= now:
            self._drop(next(iter(self._found)))

    def _drop(self, name: str) -> None:
        self._bytes -= len(self._found.pop(name).data)
