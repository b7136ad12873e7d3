"""Where the replicas are: one small actor of Ray, which they tell and the router asks."""

from __future__ import annotations

import time

FRESH = 30.0
"""Seconds after which a replica that was not heard of is forgotten."""


class Registry:
    """clock: seconds."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, float]] = {}

    def join(self, url: str, key: str) -> None:
        """A replica is there, or still there."""
        self._found[url] = key, time.monotonic()

    def leave(self, url: str) -> None:
        """It takes no more requests."""
        self._found.pop(url, None)

    def listing(self) -> dict[str, str]:
        """The replicas by address, with their keys."""
        now = time.monotonic()
        self._found = {
            url: (key, seen) for url, (key, seen) in self._found.items() if now - seen < FRESH
        }
        return {url: key for url, (key, _) in self._found.items()}
