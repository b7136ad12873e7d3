"""A request to the replica that it belongs to, and to another one where that is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.keys import OWNER

from .attempt import Asked, Attempts
from .choose import Choice
from .metrics import RouterMetrics
from .prefix_blocks import chain_of
from .prefix_map import PrefixMap
from .replica import ALIVE, Replica, Replicas
from .stored import FILES, OF_SESSIONS, Stored, session_name, stored_name
from .upstream import ReplicaLost, Whole

log = logging.getLogger(__name__)
MOST_LOST = 3
"""Replicas that may be lost with one request before it is refused: it may be the reason."""
AGAIN = 0.2
"""Seconds until replicas are looked at again when there is none."""
WITH_PROMPTS = frozenset({
    "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses",
})  # fmt: skip


class Forward:
    """patience: seconds that a request waits for a replica where there is none."""

    def __init__(
        self,
        replicas: Replicas,
        prefixes: PrefixMap,
        choice: Choice,
        stored: Stored,
        metrics: RouterMetrics,
        *,
        patience: float,
        send_timeout: float,
    ) -> None:
        self._replicas, self._prefixes, self._choice = replicas, prefixes, choice
        self._stored, self._metrics, self._patience = stored, metrics, patience
        self._attempts = Attempts(stored, metrics, send_timeout)

    async def answer(self, asked: Asked) -> None:
        """Answer it. Raises ApiError, ClientGone."""
        if (name := stored_name(asked.path)) is not None:
            await self._by_name(asked, name)
            return
        if asked.path.startswith((FILES, *OF_SESSIONS)):
            await self._wherever(asked)
            return
        body = _parsed(asked) if asked.method == "POST" and asked.path in WITH_PROMPTS else None
        if isinstance(body, dict):
            previous = body.get("previous_response_id")
            if asked.path == "/v1/responses" and isinstance(previous, str):
                holder = await self._holder(asked, previous)
                if holder is not None:
                    await self._only(asked, holder, previous)
                    return
            asked.chain = chain_of(asked.path, body)
            if asked.path == "/v1/chat/completions":
                asked.session = session_name(body.get("session_id"), _owner(asked))
        home = self._home(asked.session)
        if home is None or not await self._at_home(asked, home):
            await self._anywhere(asked)

    def _home(self, session: str | None) -> Replica | None:
        """The replica where a session's tools are, if it is there still."""
        found = None if session is None else self._stored.find(session)
        return found if found in self._replicas.within(*ALIVE) else None

    async def _at_home(self, asked: Asked, replica: Replica) -> bool:
        """However busy that one is: a session's files and variables are nowhere else. Returns
        whether it is answered; otherwise it stops or is lost, and the session begins anew."""
        self._prefixes.add(asked.chain, replica)
        try:
            refused = await self._attempts.make(asked, replica, len(asked.chain.keys), _ending)
        except ReplicaLost as error:
            log.warning("replica %s: %s; a session begins again at another", replica.url, error)
            self._metrics.again("refused" if error.refused else "lost")
            if error.refused:
                self._gone(replica, str(error))
            return False
        return refused is None

    async def _anywhere(self, asked: Asked) -> None:
        """At the replica that `Choice` picks, and at others while nothing was answered."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        tried: set[Replica] = set()
        lost = 0
        refused: Whole | None = None
        while True:
            picked = self._choice.pick(asked.chain, tried)
            if picked is None:
                if refused is not None:
                    await self._attempts.whole(asked, refused)
                    return
                if loop.time() >= until:
                    raise ApiError(
                        503, "no replica can answer now; the router's log says why",
                        code="no_replica", retry_after=1,
                    )  # fmt: skip
                tried.clear()
                await asyncio.sleep(AGAIN)
                continue
            replica, blocks = picked
            self._metrics.chosen(len(asked.chain.keys), len(asked.chain.keys) - blocks)
            self._prefixes.add(asked.chain, replica)
            tried.add(replica)
            if asked.session is not None:
                self._stored.put(asked.session, replica)
            try:
                refused = await self._attempts.make(asked, replica, blocks, _elsewhere)
            except ReplicaLost as error:
                log.warning("replica %s: %s; another one is asked", replica.url, error)
                self._metrics.again("refused" if error.refused else "lost")
                if error.refused:
                    self._gone(replica, str(error))
                    continue
                lost += 1
                if lost == MOST_LOST:
                    raise ApiError(
                        502, f"{lost} replicas were lost while they worked on this request",
                        code="replica_lost",
                    ) from error  # fmt: skip
                continue
            if refused is None:
                return
            self._metrics.again("busy")

    def _gone(self, replica: Replica, why: str) -> None:
        if replica.state != "down":
            log.warning("replica %s is down: %s", replica.url, why)
        replica.state, replica.why = "down", why
        self._prefixes.forget(replica)

    async def _by_name(self, asked: Asked, name: str) -> None:
        holder = self._stored.find(name)
        if holder is None:
            await self._wherever(asked)
        else:
            await self._only(asked, holder, name)

    async def _only(self, asked: Asked, replica: Replica, name: str) -> None:
        """At this replica, as no other has what is asked for. Raises ApiError."""
        self._prefixes.add(asked.chain, replica)
        try:
            await self._attempts.make(asked, replica, 0, _never)
        except ReplicaLost as error:
            continues = asked.path == "/v1/responses"
            code = "previous_response_not_found" if continues else "response_not_found"
            param = "previous_response_id" if continues else "response_id"
            way = "send the whole conversation" if continues else "it may be lost"
            raise ApiError(
                400 if continues else 404,
                f"the replica that stored {name[:100]} does not answer: {way}",
                param=param, code=code,
            ) from error  # fmt: skip

    async def _wherever(self, asked: Asked) -> None:
        """At each in turn, until one has it."""
        last: Whole | None = None
        given = parse_qs(urlsplit(asked.target).query).get("session_id", [""])[0]
        home = self._home(session_name(given, _owner(asked)))
        found_in = self._replicas.within(*ALIVE)
        for replica in sorted(found_in, key=lambda one: one is not home):
            try:
                found = await self._attempts.make(asked, replica, 0, _missing)
            except ReplicaLost as error:
                log.warning("replica %s: %s", replica.url, error)
                continue
            if found is None:
                return
            last = found
        if last is None:
            raise ApiError(503, "no replica is there now", code="no_replica", retry_after=1)
        await self._attempts.whole(asked, last)

    async def _holder(self, asked: Asked, name: str) -> Replica | None:
        """The replica that stored a response."""
        if (known := self._stored.find(name)) is not None:
            return known
        if not name.isascii() or not name.replace("_", "").replace("-", "").isalnum():
            return None
        wanted = [one for one in asked.headers if one[0] in (b"authorization", b"x-api-key")]
        for replica in self._replicas.within("ready", "waiting"):
            try:
                headers = replica.headers([(b"host", b"localhost"), *wanted])
                async with replica.upstream.answer(
                    "GET", f"/v1/responses/{name}", headers
                ) as answer:
                    await answer.whole()
            except ReplicaLost:
                continue
            if answer.status == 200:
                self._stored.put(name, replica)
                return replica
        return None


def _owner(asked: Asked) -> bytes:
    return dict(asked.headers).get(OWNER, b"")


def _elsewhere(status: int) -> bool:
    return status in (429, 503)


def _ending(status: int) -> bool:
    return status == 503


def _missing(status: int) -> bool:
    return status == 404


def _never(status: int) -> bool:
    return False


def _parsed(asked: Asked) -> Any:
    """The body; None where it is not JSON, which the replica says better."""
    try:
        return json.loads(asked.body)
    except (ValueError, RecursionError):
        return None
