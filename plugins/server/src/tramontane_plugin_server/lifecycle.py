"""A server's lifecycle: load models, print the address, serve, reload keys, shut down."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from tramontane.mcp import McpServers, read_config
from tramontane.memory import readable
from tramontane.registry import Registry

from .app import build
from .app_state import Serving
from .hangup import ignore_hangup
from .http.errors import ApiError
from .log_output import log_to
from .model_manager import Served
from .settings import Settings
from .uvicorn_server import UvicornServer, say

if TYPE_CHECKING:
    from tramontane.checkpoint.load_options import LoadReport

log = logging.getLogger(__name__)


def serve(
    settings: Settings,
    sockets: list[socket.socket],
    ready: Callable[[str], None] | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; then let answers end. Raises TramontaneError.

    sockets: that listen already. ready: called with the address once models are loaded.
    """
    ignore_hangup()
    handler = log_to(settings.log_file, settings.access_log)
    serving = Serving(settings)
    if settings.mcp_config is not None:
        serving.mcp = McpServers(read_config(settings.mcp_config), Registry.from_environment())
    if serving.acting is not None:
        serving.acting.toolsets.check()  # what cannot be opened is said now, and to the owner
    server = _Server(serving, sockets[0], ready)
    try:
        return server.run_to_end(sockets)
    finally:
        if serving.mcp is not None:
            serving.mcp.close()
        handler.close()


class _Server(UvicornServer):
    """Listens first and loads then: until its models are there, /ready says so and requests wait;
    where they cannot be loaded, it fails."""

    def __init__(
        self, serving: Serving, first: socket.socket, ready: Callable[[str], None] | None
    ) -> None:
        super().__init__(build(serving), serving.settings, serving.keys, first)
        self._serving, self._ready = serving, ready
        self._loading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        address = self.listens_at
        say(f"loading, and listening at {address}")
        try:
            await self._serving.catalog.start()
        except ApiError as error:
            why = error.__cause__ or error
            say(f"error: {why}")
            if self._serving.settings.log_file is not None:
                log.error("%s", why)
            self.fail()
            return
        for served in self._serving.catalog.models.values():
            say(_about(served))
        self.say_if_open()
        say(f"ready at {address}/v1 (description at {address}/docs), Ctrl-C stops")
        if self._ready is not None:
            self._ready(address)

    def drain(self) -> None:
        self._serving.catalog.draining = True

    def reloaded(self) -> None:
        certificate = " and certificate" * bool(self._serving.settings.tls_cert)
        log.warning("SIGHUP: keys%s were reloaded", certificate)


def _about(served: Served) -> str:
    if served.model is None:
        return f"{served.name}: loaded by the first request"
    if served.model.task_only:
        report = served.model.report
        return (
            f"{served.name}: {report.architecture} ({report.task}) on {report.device}, "
            f"{readable(report.bytes_in_memory)} of weights"
        )
    loaded, engine = served.model.loaded, served.model.engine
    tokens = engine.cache.blocks * engine.cache.block_size
    size = tokens * loaded.bytes_per_token
    cache = f"up to {readable(size)} ({loaded.report.kv_dtype})" if size else "no keys and values"
    return (
        f"{served.name}: {loaded.report.architecture} on {loaded.report.device}, "
        f"{readable(loaded.report.bytes_in_memory)} of weights, context {engine.context_length:,}; "
        f"KV cache {tokens:,} tokens, {cache}{_drafts(loaded.report)}"
    )


def _drafts(report: LoadReport) -> str:
    draft = report.draft
    if draft is None:
        return ""
    return f"; drafts by {draft.path}, {readable(draft.bytes_in_memory)} of weights"
