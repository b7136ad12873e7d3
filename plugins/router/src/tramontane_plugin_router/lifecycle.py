"""A router's lifecycle: watch replicas, print the address, serve, reload keys, shut down."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from tramontane.errors import ConfigError, TramontaneError
from tramontane_plugin_server.hangup import ignore_hangup, on_hangup
from tramontane_plugin_server.http.keys import KeyRing
from tramontane_plugin_server.log_output import LOGGERS, log_to

from .app import Router
from .replica import Replicas
from .settings import RouterSettings

log = logging.getLogger(__name__)


class Background:
    """What runs beside a router; the usual one reads the replicas from the settings.

    loggers: whose warnings go where the router's go.
    """

    loggers: tuple[str, ...] = ()

    async def start(self, router: Router) -> None:
        """The router listens now. Raises TramontaneError."""
        router.set_replicas(router.settings.replicas())

    async def reload(self, router: Router) -> None:
        """On SIGHUP. Raises TramontaneError; then everything stays as it is."""
        router.set_replicas(router.settings.replicas())

    async def stop(self, router: Router) -> None:
        """Requests are answered no longer."""


def serve(
    settings: RouterSettings, sockets: list[socket.socket], background: Background | None = None
) -> int:
    """Route until SIGINT or SIGTERM; then let answers end. Raises TramontaneError.

    sockets: that listen already.
    """
    ignore_hangup()
    background = background or Background()
    names = (*LOGGERS, "tramontane_plugin_router", *background.loggers)
    handler = log_to(settings.log_file, settings.access_log, names)
    replicas = Replicas()
    replicas.trust = _trust(settings)
    router = Router(settings, replicas)
    keys = KeyRing(settings.keys(), settings.admin_keys())
    config = uvicorn.Config(
        router.guarded(keys),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
    )
    server = _Server(config, router, keys, background, sockets[0])
    try:
        server.run(sockets=sockets)
    except SystemExit:  # uvicorn has logged why it could not start
        return 1
    finally:
        handler.close()
        if settings.address_file is not None:
            settings.address_file.unlink(missing_ok=True)
    return 1 if server.failed or not server.started else 0


class _Server(uvicorn.Server):
    """failed: whether what runs beside it could not start."""

    def __init__(
        self,
        config: uvicorn.Config,
        router: Router,
        keys: KeyRing,
        background: Background,
        first: socket.socket,
    ) -> None:
        super().__init__(config)
        self._router, self._keys, self._background = router, keys, background
        self._listens_at = address(router.settings, first)
        self._starting: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[bool] | None = None
        self.failed = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        on_hangup(self._hung_up)
        if not self.started:
            return
        self._router.watch()
        self._write_address()
        self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        try:
            if await self._try(self._background.start):
                self._say_where()
                return
        except Exception:
            log.exception("the router's background task failed")
        self.failed = self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets=sockets)
        if self._starting is not None:
            self._starting.cancel()
        await self._router.close()
        await self._try(self._background.stop)

    async def _try(self, act: Callable[[Router], Awaitable[None]]) -> bool:
        try:
            await act(self._router)
        except TramontaneError as error:
            say(f"error: {error}")
            return False
        return True

    def _write_address(self) -> None:
        path = self._router.settings.address_file
        if path is None:
            return
        part = path.with_name(path.name + ".part")
        try:
            part.write_text(self._listens_at + "\n", "utf-8")
            part.replace(path)
        except OSError as error:
            say(f"error: cannot write the address to {path}: {error.strerror}")
            self.failed = self.should_exit = True

    def _say_where(self) -> None:
        settings = self._router.settings
        open_to_all = settings.host not in ("127.0.0.1", "localhost", "::1")
        if open_to_all and settings.uds is None and not self._keys:
            say("warning: no API key is set: anyone who can connect may use it (--api-key)")
        count = len(self._router.replicas)
        of = f"{count} replica{'s' * (count != 1)}" if count else "replicas that are to come"
        say(f"ready at {self._listens_at}/v1 for {of}, Ctrl-C stops")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._router.draining = True
            log.warning("%s: shutting down, running answers may finish", signal.Signals(sig).name)
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _hung_up(self, *, gone: bool) -> None:
        """SIGHUP: read keys, replicas and certificates again, or, its terminal gone, stop."""
        if gone:
            self.handle_exit(signal.SIGHUP, None)
            return
        settings = self._router.settings
        try:
            self._keys.replace(settings.keys(), settings.admin_keys())
            if self.config.ssl is not None and settings.tls_cert is not None:
                self.config.ssl.load_cert_chain(settings.tls_cert, settings.tls_key)
        except (TramontaneError, OSError) as error:
            log.error("SIGHUP: %s; the previous ones stay in use", error)
            return
        log.warning("SIGHUP: keys were reloaded; replicas are looked at again")
        self._reloading = asyncio.create_task(self._try(self._background.reload))


def address(settings: RouterSettings, listener: socket.socket) -> str:
    """Where it listens, as clients write it."""
    if settings.uds is not None:
        return f"unix:{settings.uds}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _trust(settings: RouterSettings) -> ssl.SSLContext | None:
    if settings.replica_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.replica_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read certificates from {settings.replica_ca}: {error}"
        ) from error


def say(line: str) -> None:
    """Tell the person who starts it."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
