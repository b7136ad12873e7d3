"""Everything that a request passes on its way to a replica."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from tramontane.errors import TramontaneError
from tramontane_plugin_server.http.access import Access, owner
from tramontane_plugin_server.http.body import Body
from tramontane_plugin_server.http.errors import answer
from tramontane_plugin_server.http.hosts import Hosts
from tramontane_plugin_server.http.keys import ADMIN, OWNER, KeyRing, Keys
from tramontane_plugin_server.http.stream import ClientGone

from .attempt import Asked
from .choose import Choice
from .every_replica import EveryReplica
from .forward import WITH_PROMPTS, Forward
from .health_checks import HealthChecks
from .metrics import RouterMetrics
from .metrics_page import merged
from .prefix_map import PrefixMap
from .replica import ALIVE, Replica, Replicas
from .settings import RouterSettings
from .stored import Stored
from .upstream import Header, ReplicaLost, Whole

METRICS = 5.0
"""Seconds for a replica to send its figures."""


class Router:
    """The ASGI application below keys, limits and the log."""

    def __init__(self, settings: RouterSettings, replicas: Replicas) -> None:
        self.settings, self.replicas = settings, replicas
        self.prefixes = PrefixMap()
        self.metrics = RouterMetrics(replicas, by_key=settings.metrics_by_key)
        self.every = EveryReplica(replicas)
        self.health = HealthChecks(
            replicas, self.prefixes, self.every.catch_up,
            every=settings.check_interval, silent=settings.stall_timeout,
        )  # fmt: skip
        self.draining = False
        self._forward = Forward(
            replicas, self.prefixes, Choice(replicas, self.prefixes, settings.busy), Stored(),
            self.metrics, patience=settings.patience, send_timeout=settings.send_timeout,
        )  # fmt: skip
        self._checking: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Future[None]] = set()

    def guarded(self, keys: KeyRing) -> ASGIApp:
        """The application with all that stands in front of it."""
        settings = self.settings
        found: ASGIApp = Body(self, settings.max_body, settings.body_timeout)
        found = Keys(found, keys, settings.open_path, self.metrics)
        if settings.uds is None:
            found = Hosts(found, keys, (settings.host, *settings.allowed_host))
        if settings.cors_origin:
            found = CORSMiddleware(
                found, allow_origins=settings.cors_origin,
                allow_methods=["GET", "POST", "DELETE"], allow_headers=["*"],
                expose_headers=["request-id", "x-request-id", "x-tramontane-ignored",
                                "retry-after"],
            )  # fmt: skip
        return Access(found, settings.access_log, self.metrics)

    def watch(self) -> None:
        """Begin to look after the replicas, in the running loop."""
        self._checking = asyncio.create_task(self.health.run())

    async def close(self) -> None:
        """End it, and all connections."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for replica in self.replicas:
            await replica.upstream.abort()

    def set_replicas(self, wanted: dict[str, str | None]) -> None:
        """From now on these replicas, by address, each with its key. Raises ConfigError."""
        for gone in self.replicas.set(wanted):
            self.prefixes.forget(gone)
            task = asyncio.ensure_future(_retire(gone))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path in WITH_PROMPTS or path in ADMIN or path in OWN:
            scope["route"] = SimpleNamespace(path=path)
        if method == "GET" and path in OWN:
            found = await getattr(self, OWN[path])(scope)
            await found(scope, receive, send)
            return
        body = (await receive()).get("body", b"")
        headers = _headers(scope)
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        asked = Asked(method, path.rstrip("/") or "/", target, headers, body, send)
        work = asyncio.ensure_future(self._answer(asked))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        except TramontaneError as error:
            await answer(error, scope)(scope, receive, send)
        except ClientGone:
            pass
        finally:
            for one in (work, gone):
                one.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _answer(self, asked: Asked) -> None:
        if asked.path in ADMIN and asked.method == "POST":
            said = await self.every.send(asked.path, asked.target, asked.headers, asked.body)
            await _send(asked, said)
        else:
            await self._forward.answer(asked)

    async def _health(self, scope: Scope) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, scope: Scope) -> Response:
        ready = len(self.replicas.within("ready"))
        if self.draining or not ready:
            said = "stopping" if self.draining else "no replica is ready"
            return JSONResponse({"status": said}, 503)
        return JSONResponse({"status": "ready", "replicas": ready})

    async def _list(self, scope: Scope) -> Response:
        shown = [
            {"url": one.url, "state": one.state, "why": one.why or None, "running": one.running,
             "requests": one.given, "cached_blocks": self.prefixes.held(one)}
            for one in self.replicas
        ]  # fmt: skip
        return JSONResponse({"object": "list", "data": shown})

    async def _figures(self, scope: Scope) -> Response:
        headers = _headers(scope)
        asked = self.replicas.within(*ALIVE)
        pages = await asyncio.gather(*(_metrics_of(one, headers) for one in asked))
        page = merged((one.url, page) for one, page in zip(asked, pages, strict=True))
        return Response(self.metrics.text() + page, media_type=CONTENT_TYPE_PLAIN_0_0_4)


OWN = {"/health": "_health", "/ready": "_ready", "/metrics": "_figures", "/replicas": "_list"}
"""What the router answers itself."""


async def _retire(replica: Replica) -> None:
    """Close its connections once it has answered all."""
    try:
        while replica.running:
            await asyncio.sleep(0.5)
    finally:
        await replica.upstream.abort()


async def _metrics_of(replica: Replica, headers: list[Header]) -> bytes:
    with contextlib.suppress(ReplicaLost, TimeoutError):
        async with (
            asyncio.timeout(METRICS),
            replica.upstream.answer("GET", "/metrics", replica.headers(headers)) as answer,
        ):
            if answer.status == 200:
                return await answer.whole()
    return b""


def _headers(scope: Scope) -> list[Header]:
    """What the replica is sent: the client's, and who the client is."""
    given = [one for one in scope["headers"] if one[0] not in FORWARDED]
    client = (scope.get("client") or ("",))[0]
    if client:
        given.append((b"x-forwarded-for", client.encode("latin-1")))
    given.append((b"x-forwarded-proto", scope["scheme"].encode()))
    given.append((b"x-request-id", scope["state"]["request_id"].encode()))
    if whose := owner():
        given.append((OWNER, whose.encode()))
    return given


FORWARDED = frozenset({
    b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id", OWNER,
})  # fmt: skip


async def _send(asked: Asked, said: Whole) -> None:
    headers = [*said.headers, (b"content-length", b"%d" % len(said.body))]
    kept = [one for one in headers if one[0] not in (b"x-request-id", b"request-id")]
    await asked.send({"type": "http.response.start", "status": said.status, "headers": kept})
    await asked.send({"type": "http.response.body", "body": said.body})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
