"""A server's lifecycle: load models, print the address, serve, reload keys, shut down."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from tramontane.errors import TramontaneError
from tramontane.mcp import McpServers, read_config
from tramontane.memory import readable
from tramontane.registry import Registry

from .app import build
from .app_state import Serving
from .hangup import ignore_hangup, on_hangup
from .http.errors import ApiError
from .log_output import log_to
from .model_manager import Served
from .settings import Settings

if TYPE_CHECKING:
    from tramontane.checkpoint.load_options import LoadReport


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
    app = build(serving)
    config = uvicorn.Config(
        app,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
    )
    server = _Server(config, serving, sockets[0], ready)
    try:
        server.run(sockets=sockets)
    except SystemExit:  # uvicorn has logged why it could not start
        return 1
    finally:
        if serving.mcp is not None:
            serving.mcp.close()
        handler.close()
        if settings.address_file is not None:
            settings.address_file.unlink(missing_ok=True)
    return 1 if server.failed or not server.started else 0


class _Server(uvicorn.Server):
    """Listens first and loads then: until its models are there, /ready says so and requests wait.

    failed: whether they cannot be loaded.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        serving: Serving,
        first: socket.socket,
        ready: Callable[[str], None] | None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._serving = serving
        self._listens_at = _address(serving.settings, first)
        self._loading: asyncio.Task[None] | None = None
        self.failed = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        on_hangup(self._hung_up)
        if self.started:
            self._write_address()
            self._loading = asyncio.create_task(self._load())

    def _write_address(self) -> None:
        """For health checks and scripts, which then follow the settings. Complete or absent."""
        path = self._serving.settings.address_file
        if path is None:
            return
        part = path.with_name(path.name + ".part")
        try:
            part.write_text(self._listens_at + "\n", "utf-8")
            part.replace(path)
        except OSError as error:
            _say(f"error: cannot write the address to {path}: {error.strerror}")
            self.failed = self.should_exit = True

    async def _load(self) -> None:
        address = self._listens_at
        _say(f"loading, and listening at {address}")
        try:
            await self._serving.catalog.start()
        except ApiError as error:
            why = error.__cause__ or error
            _say(f"error: {why}")
            if self._serving.settings.log_file is not None:
                logging.getLogger(__name__).error("%s", why)
            self.failed = self.should_exit = True
            return
        for line in _banner(self._serving, address):
            _say(line)
        if self._ready is not None:
            self._ready(address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._serving.catalog.draining = True
            name = signal.Signals(sig).name
            logging.getLogger(__name__).warning(
                "%s: shutting down, running answers may finish", name
            )
        # not uvicorn's own, which raises the signal again once all is done
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _hung_up(self, *, gone: bool) -> None:
        """SIGHUP: read keys and certificates again, or, its terminal gone, stop as by SIGTERM."""
        if gone:
            self.handle_exit(signal.SIGHUP, None)
            return
        log, settings = logging.getLogger(__name__), self._serving.settings
        try:
            self._serving.reload_keys()
            if self.config.ssl is not None and settings.tls_cert is not None:
                self.config.ssl.load_cert_chain(settings.tls_cert, settings.tls_key)
        except (TramontaneError, OSError) as error:
            log.error("SIGHUP: %s; the previous ones stay in use", error)
            return
        log.warning("SIGHUP: keys%s were reloaded", " and certificate" * bool(settings.tls_cert))


def _address(settings: Settings, listener: socket.socket) -> str:
    if settings.uds is not None:
        return f"unix:{settings.uds}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _banner(serving: Serving, address: str) -> list[str]:
    lines = [_about(served) for served in serving.catalog.models.values()]
    open_to_all = serving.settings.host not in ("127.0.0.1", "localhost", "::1")
    if open_to_all and serving.settings.uds is None and not serving.keys:
        lines.append("warning: no API key is set: anyone who can connect may use it (--api-key)")
    lines.append(f"ready at {address}/v1 (description at {address}/docs), Ctrl-C stops")
    return lines


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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - what a person who starts it waits for
