"""Asks every replica again and again how it is, and gives up one that says nothing for long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable

from .prefix_map import PrefixMap
from .replica import Replica, Replicas, State
from .upstream import ReplicaLost

log = logging.getLogger(__name__)
HEADERS = [(b"host", b"localhost")]
QUICK = 2.0
"""Seconds within which a replica that is well answers."""
STOPPED = (ConnectionRefusedError, FileNotFoundError)


class HealthChecks:
    """joined: called with a replica before it is given requests, when it was not ready before.
    every: seconds between checks. silent: seconds without an answer after which a replica is down.
    """

    def __init__(
        self,
        replicas: Replicas,
        prefixes: PrefixMap,
        joined: Callable[[Replica], Awaitable[None]],
        *,
        every: float,
        silent: float,
    ) -> None:
        self._replicas, self._prefixes, self._joined = replicas, prefixes, joined
        self._every, self._silent = every, silent
        self._asking: dict[Replica, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Forever."""
        try:
            while True:
                for replica in self._replicas:
                    if replica not in self._asking:
                        self._asking[replica] = asyncio.create_task(self._ask(replica))
                await asyncio.sleep(self._every)
        finally:
            left = list(self._asking.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _ask(self, replica: Replica) -> None:
        try:
            await self.check(replica)
        except Exception:
            log.exception("the health check of %s failed", replica.url)
        finally:
            self._asking.pop(replica, None)

    async def check(self, replica: Replica) -> None:
        """Ask it once. It has `silent` seconds, and counts as silent after two."""
        asked = time.monotonic()
        late = asyncio.get_running_loop().call_later(QUICK, self._late, replica, asked)
        since = replica.silent_since
        left = self._silent if since is None else max(QUICK, since + self._silent - asked)
        try:
            async with asyncio.timeout(left):
                headers = replica.headers(HEADERS)
                async with replica.upstream.answer("GET", "/ready", headers) as answer:
                    data = await answer.whole()
        except TimeoutError:
            replica.silent_since = asked if since is None else since
            await self.down(replica, f"no health check was answered within {self._silent:g} s")
            return
        except ReplicaLost as error:
            if error.refused:
                self._prefixes.forget(replica)
            self._be(replica, "down", str(error))
            replica.silent_since = asked if since is None else since
            # one that stops refuses checks and still answers; one that is dead resets what it had
            closed = isinstance(getattr(error.__cause__, "os_error", None), STOPPED)
            if not closed and time.monotonic() - replica.silent_since >= self._silent:
                await replica.upstream.abort()
            return
        finally:
            late.cancel()
        replica.silent_since = None
        if answer.status == 503:
            self._be(replica, "waiting", _status(data))
        elif answer.status >= 500:
            self._be(replica, "waiting", f"it answers {answer.status}")
        elif replica.state != "ready":
            await self._joined(replica)
            self._be(replica, "ready", "")

    async def down(self, replica: Replica, why: str) -> None:
        """It is given up: who waits for an answer of it gets ReplicaLost."""
        self._be(replica, "down", why)
        await replica.upstream.abort()

    def _late(self, replica: Replica, asked: float) -> None:
        if replica.silent_since is None:
            replica.silent_since = asked
        if replica.state == "ready":
            self._be(replica, "silent", f"no health check was answered for {QUICK:g} s")

    def _be(self, replica: Replica, state: State, why: str) -> None:
        if replica.state != state:
            said = f"{state}: {why}" if why else state
            log.warning("replica %s is %s", replica.url, said)
        replica.state, replica.why = state, why


def _status(data: bytes) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads(data).get("status", ""))[:200]
    return ""
