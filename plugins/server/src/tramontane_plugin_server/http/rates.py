"""Requests and tokens per minute, by the name of a key."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tramontane_plugin_server.key_files import Key

MINUTE = 60.0


@dataclass
class _Bucket:
    """A token bucket: refilled at `limit` per minute, never above `limit`. A level below zero is
    a debt: what an answer takes is known only once it has been written."""

    limit: int
    level: float
    since: float

    def refill(self, now: float) -> None:
        self.level = min(self.limit, self.level + (now - self.since) * self.limit / MINUTE)
        self.since = now

    def wait(self, wanted: float) -> float:
        """Seconds until it holds `wanted`; 0 if it does."""
        return max(0.0, wanted - self.level) * MINUTE / self.limit


class Rates:
    """What each name has left. A key without a name has no limits."""

    def __init__(self, keys: Iterable[Key], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: dict[str, _Bucket] = {}
        self._tokens: dict[str, _Bucket] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Apply the limits of these keys. A name keeps what it has used under an unchanged limit,
        so reading a file again refills nothing."""
        found = list(keys)
        self._requests = self._of(self._requests, {k.name: k.requests_per_minute for k in found})
        self._tokens = self._of(self._tokens, {k.name: k.tokens_per_minute for k in found})

    def admit(self, name: str) -> tuple[str, int, float] | None:
        """Count a request. Or, counting nothing: the limit that refuses it, as what it counts, how
        many per minute, and the seconds until it may be sent again."""
        requests, tokens = self._ready(self._requests, name), self._ready(self._tokens, name)
        for kind, bucket in (("requests", requests), ("tokens", tokens)):
            if bucket is not None and (seconds := bucket.wait(1)) > 0:
                return kind, bucket.limit, math.ceil(seconds)
        if requests is not None:
            requests.level -= 1
        return None

    def charge(self, name: str, tokens: int) -> None:
        """Count tokens of a prompt and its answer."""
        if (bucket := self._ready(self._tokens, name)) is not None:
            bucket.level -= tokens

    def _ready(self, buckets: dict[str, _Bucket], name: str) -> _Bucket | None:
        bucket = buckets.get(name)
        if bucket is not None:
            bucket.refill(self._clock())
        return bucket

    def _of(self, old: dict[str, _Bucket], limits: dict[str, int | None]) -> dict[str, _Bucket]:
        now, found = self._clock(), {}
        for name, limit in limits.items():
            if not name or limit is None:
                continue
            before = old.get(name)
            same = before is not None and before.limit == limit
            found[name] = before if before and same else _Bucket(limit, float(limit), now)
        return found
