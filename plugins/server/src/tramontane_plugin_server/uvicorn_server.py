"""What a server has in common with a router: it answers at its sockets until a signal ends it."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from types import FrameType
from typing import Literal

import uvicorn
from starlette.types import ASGIApp
from tramontane.errors import TramontaneError

from .hangup import on_hangup
from .http.keys import KeyRing
from .http_settings import HttpSettings

log = logging.getLogger(__name__)


class UvicornServer(uvicorn.Server):
    """SIGINT and SIGTERM end it once answers have ended, SIGHUP has keys and certificates read
    again. Subclasses say what there is to do besides.

    listens_at: the address, as clients write it. failed: whether it could not start.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        keys: KeyRing,
        first: socket.socket,
        *,
        lifespan: Literal["auto", "off"] = "auto",
    ) -> None:
        """first: of the sockets, which listen already."""
        config = uvicorn.Config(
            app,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan=lifespan,
            ws="none",
            timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
        )
        super().__init__(config)
        self._settings, self._keys = settings, keys
        self.listens_at = _address(settings, first)
        self.failed = False

    def begin(self) -> None:
        """It listens now, in the running loop."""
        raise NotImplementedError

    def drain(self) -> None:
        """It is to end."""
        raise NotImplementedError

    def reloaded(self) -> None:
        """SIGHUP came, and keys and certificates were read again."""
        raise NotImplementedError

    def run_to_end(self, sockets: list[socket.socket]) -> int:
        """Answer until a signal; returns the exit status."""
        try:
            self.run(sockets=sockets)
        except SystemExit:  # uvicorn has logged why it could not start
            return 1
        finally:
            if self._settings.address_file is not None:
                self._settings.address_file.unlink(missing_ok=True)
        return 1 if self.failed or not self.started else 0

    def fail(self) -> None:
        """It cannot start: end it."""
        self.failed = self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        on_hangup(self._hung_up)
        if self.started:
            self._write_address()
            self.begin()

    def say_if_open(self) -> None:
        """Warn where anyone who can connect may use it."""
        open_to_all = self._settings.host not in ("127.0.0.1", "localhost", "::1")
        if open_to_all and self._settings.uds is None and not self._keys:
            say("warning: no API key is set: anyone who can connect may use it (--api-key)")

    def _write_address(self) -> None:
        """For health checks and scripts, which then follow the settings. Complete or absent."""
        path = self._settings.address_file
        if path is None:
            return
        part = path.with_name(path.name + ".part")
        try:
            part.write_text(self.listens_at + "\n", "utf-8")
            part.replace(path)
        except OSError as error:
            say(f"error: cannot write the address to {path}: {error.strerror}")
            self.fail()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self.drain()
            log.warning("%s: shutting down, running answers may finish", signal.Signals(sig).name)
        # not uvicorn's own, which raises the signal again once all is done
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _hung_up(self, *, gone: bool) -> None:
        """SIGHUP: read keys and certificates again, or, its terminal gone, stop as by SIGTERM."""
        if gone:
            self.handle_exit(signal.SIGHUP, None)
            return
        settings = self._settings
        try:
            self._keys.replace(settings.keys(), settings.admin_keys())
            if self.config.ssl is not None and settings.tls_cert is not None:
                self.config.ssl.load_cert_chain(settings.tls_cert, settings.tls_key)
        except (TramontaneError, OSError) as error:
            log.error("SIGHUP: %s; the previous ones stay in use", error)
            return
        self.reloaded()


def _address(settings: HttpSettings, listener: socket.socket) -> str:
    if settings.uds is not None:
        return f"unix:{settings.uds}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def say(line: str) -> None:
    """Tell the person who starts it, and waits for it."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
