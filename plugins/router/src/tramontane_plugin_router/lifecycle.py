"""A router's lifecycle: watch replicas, print the address, serve, reload keys, shut down."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable

from tramontane.errors import ConfigError, TramontaneError
from tramontane_plugin_server.hangup import ignore_hangup
from tramontane_plugin_server.http.keys import KeyRing
from tramontane_plugin_server.log_output import LOGGERS, log_to
from tramontane_plugin_server.uvicorn_server import UvicornServer, say

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
    server = _Server(Router(settings, replicas), background, sockets[0])
    try:
        return server.run_to_end(sockets)
    finally:
        handler.close()


class _Server(UvicornServer):
    """Fails where what runs beside it cannot start."""

    def __init__(self, router: Router, background: Background, first: socket.socket) -> None:
        settings = router.settings
        keys = KeyRing(settings.keys(), settings.admin_keys())
        super().__init__(router.guarded(keys), settings, keys, first, lifespan="off")
        self._router, self._background = router, background
        self._starting: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[bool] | None = None

    def begin(self) -> None:
        self._router.watch()
        self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        try:
            if await self._try(self._background.start):
                self._say_where()
                return
        except Exception:
            log.exception("the router's background task failed")
        self.fail()

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

    def _say_where(self) -> None:
        self.say_if_open()
        count = len(self._router.replicas)
        of = f"{count} replica{'s' * (count != 1)}" if count else "replicas that are to come"
        say(f"ready at {self.listens_at}/v1 for {of}, Ctrl-C stops")

    def drain(self) -> None:
        self._router.draining = True

    def reloaded(self) -> None:
        log.warning("SIGHUP: keys were reloaded; replicas are looked at again")
        self._reloading = asyncio.create_task(self._try(self._background.reload))


def _trust(settings: RouterSettings) -> ssl.SSLContext | None:
    if settings.replica_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.replica_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read certificates from {settings.replica_ca}: {error}"
        ) from error
