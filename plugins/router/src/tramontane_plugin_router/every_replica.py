"""What changes all replicas: adapters and models that requests load and unload."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence

from tramontane_plugin_server.http.errors import ApiError

from .replica import ALIVE, Replica, Replicas
from .upstream import Header, ReplicaLost, Whole

log = logging.getLogger(__name__)
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class EveryReplica:
    """Sends a request to each replica, and the adapters to those that come later.

    Adapters are kept with the headers that they were loaded with, for as long as the router runs.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._adapters: dict[str, tuple[list[Header], bytes]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def send(self, path: str, target: str, headers: Sequence[Header], body: bytes) -> Whole:
        """The answer of the first, where all agree that it is done; else that of one that refused,
        and an adapter that others have loaded is unloaded there again. Raises ApiError."""
        async with self._one_at_a_time:
            asked = self._replicas.within(*ALIVE)
            if not asked:
                raise ApiError(503, "no replica is there now", code="no_replica", retry_after=1)
            found = await asyncio.gather(
                *(_ask(one, "POST", target, headers, body) for one in asked)
            )
            refused = [(one, said) for one, said in zip(asked, found, strict=True) if not said.done]
            name = _name(body)
            if not refused:
                if path == LOAD:
                    self._adapters[name] = (list(headers), body)
                elif path == UNLOAD:
                    self._adapters.pop(name, None)
                return found[0]
            if path == LOAD and len(refused) < len(asked):
                back = json.dumps({"lora_name": name}).encode()
                await asyncio.gather(
                    *(
                        _ask(one, "POST", UNLOAD, headers, back)
                        for one, said in zip(asked, found, strict=True)
                        if said.done
                    )
                )
            where, said = refused[0]
            if said.status == 0:
                raise ApiError(
                    502, f"{len(refused)} of {len(asked)} replicas did not answer: nothing is "
                    "certain about them; send the request again", code="replica_lost",
                )  # fmt: skip
            log.warning("%s refused %s: %d", where.url, path, said.status)
            return said

    async def catch_up(self, replica: Replica) -> None:
        """Load what was loaded elsewhere; the log has what cannot be."""
        if not self._adapters:
            return
        for name, (headers, body) in list(self._adapters.items()):
            if name in await _models(replica, headers):
                continue
            said = await _ask(replica, "POST", LOAD, headers, body)
            if not said.done:
                log.error(
                    "%s cannot load the adapter %s: %s", replica.url, name,
                    said.body[:500].decode(errors="replace") or "no answer",
                )  # fmt: skip


async def _models(replica: Replica, headers: Sequence[Header]) -> set[str]:
    said = await _ask(replica, "GET", "/v1/models", headers, b"")
    try:
        return {str(one["id"]) for one in json.loads(said.body)["data"]}
    except (ValueError, KeyError, TypeError):
        return set()


async def _ask(
    replica: Replica, method: str, target: str, headers: Sequence[Header], body: bytes
) -> Whole:
    try:
        sent = replica.headers(headers)
        async with replica.upstream.answer(method, target, sent, body) as answer:
            return await answer.complete()
    except ReplicaLost as error:
        log.warning("%s: %s", replica.url, error)
        return Whole(0, [], b"")


def _name(body: bytes) -> str:
    try:
        return str(json.loads(body)["lora_name"])
    except (ValueError, KeyError, TypeError):
        return ""
