"""The sockets that a server listens at, bound before anything is loaded. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tramontane.errors import ConfigError

BACKLOG = 2048
"""Connections that may wait to be accepted; those made while the server starts are among them."""


class Listening(Protocol):
    """The settings that say where."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def uds(self) -> Path | None: ...
    @property
    def uds_mode(self) -> str: ...


@contextlib.contextmanager
def listening(settings: Listening) -> Iterator[list[socket.socket]]:
    """Listening sockets, closed in the end; the file of a Unix socket is removed then.

    Raises ConfigError for an address that is taken or cannot be used.
    """
    with contextlib.ExitStack() as stack:
        if settings.uds is not None:
            yield [stack.enter_context(_unix(settings.uds, int(settings.uds_mode, 8)))]
            return
        sockets: list[socket.socket] = []
        port = settings.port
        for family, address in _addresses(settings.host, port):
            # of several addresses with port 0 all have the port that the first was given
            sock = stack.enter_context(_tcp(family, (address[0], port, *address[2:])))
            port = sock.getsockname()[1]
            sockets.append(sock)
        yield sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--host {host}: no such address ({error}); 127.0.0.1 is this machine only, "
            "0.0.0.0 every interface"
        ) from error
    return [(family, address) for family, _, _, _, address in dict.fromkeys(found)]  # type: ignore[misc]


def _tcp(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    # asyncio sends small pieces at once only where it is told that the protocol is TCP
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)  # two may bind a port with SO_REUSEADDR; one may listen
    except OSError as error:
        sock.close()
        raise ConfigError(_reason(error, *address[:2])) from error
    return sock


def _reason(error: OSError, host: str | int, port: str | int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use at {host}: choose another with --port; --port 0: a free one"
    if error.errno == errno.EACCES:
        return f"port {port} is reserved by the system ({error.strerror}): choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: this machine has no such address; 0.0.0.0 is every one that it has"
    return f"cannot listen at {host} port {port}: {error.strerror}"


@contextlib.contextmanager
def _unix(path: Path, mode: int) -> Iterator[socket.socket]:
    """A socket at a path. A file that a dead server left is replaced, anything else is not."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone(path.parent):
            _clear(path)
            before = os.umask(0o177)  # nobody else may connect before its mode is set
            try:
                sock.bind(str(path))
            finally:
                os.umask(before)
            sock.listen(BACKLOG)
        path.chmod(mode)
        made = path.stat()
    except OSError as error:
        sock.close()
        raise ConfigError(f"--uds {path}: {error.strerror or error}") from error
    except ConfigError:
        sock.close()
        raise
    try:
        yield sock
    finally:
        sock.close()
        with contextlib.suppress(OSError):
            if os.path.samestat(path.stat(), made):  # not one that somebody else put there
                path.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One server at a time looks at a folder's sockets: two that start together both see a dead
    one, and the second would replace the first's new one."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _clear(path: Path) -> None:
    """Remove a socket file at which nobody listens. Raises ConfigError for anything else there."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"--uds {path}: a file is there that is not a socket; it is not replaced")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ConfigError(f"--uds {path} is in use: another server listens there")
