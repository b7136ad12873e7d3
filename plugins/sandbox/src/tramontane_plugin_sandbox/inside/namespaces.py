"""New namespaces, and which users outside the ones inside are."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from . import syscalls
from .users import NOBODY, USER

AF_INET, SOCK_DGRAM = 2, 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def enter(*, network: bool) -> None:
    """Move this process into new namespaces; its next child is the first of the new process
    namespace. network: keep the host's. Raises OSError."""
    flags = (
        syscalls.CLONE_NEWUSER
        | syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWPID
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWCGROUP
    )
    user, group = os.geteuid(), os.getegid()
    with _map_writer(os.getpid(), user == 0) as told:
        syscalls.unshare(flags)
        if user == 0:
            os.write(told, b"1")
        else:
            _write("setgroups", "deny")
            _write("uid_map", f"{USER} {user} 1")
            _write("gid_map", f"{USER} {group} 1")
    if not network:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        _loopback()
    syscalls.check(int(syscalls.libc.sethostname(b"sandbox", 7)), "the name of the machine")


def _write(name: str, text: str, process: str = "self") -> None:
    with open(f"/proc/{process}/{name}", "w") as file:
        file.write(text)


@contextmanager
def _map_writer(process: int, needed: bool) -> Iterator[int]:
    """A process that stays outside: only there root may map other users than itself.

    Yields where to write a byte once the namespace is there; waits until the maps are written.
    """
    if not needed:
        yield -1
        return
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(writing)
            if os.read(reading, 1):
                for name in ("uid_map", "gid_map"):
                    _write(name, f"0 0 1\n{USER} {NOBODY} 1\n", str(process))
                status = 0
        finally:
            os._exit(status)
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)
        failed = os.waitpid(child, 0)[1]
    if failed:
        raise PermissionError(1, "the users of the new namespace cannot be mapped")


def _loopback() -> None:
    """The new network has this one interface; it reaches nothing outside."""
    place = syscalls.check(int(syscalls.libc.socket(AF_INET, SOCK_DGRAM, 0)), "the new network")
    answer = fcntl.ioctl(place, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
    flags = struct.unpack("16sh14x", answer)[1] | IFF_UP
    fcntl.ioctl(place, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags))
    os.close(place)
