"""Bounds that a process takes upon itself and cannot shed: resources, rights, privileges."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from collections.abc import Mapping

from . import syscalls
from .users import USER

LAST_CAPABILITY = 63


def limit_resources(limits: Mapping[str, int], *, own_users: bool) -> None:
    """Set what the kernel counts by process. own_users: whether this is a namespace of users, in
    which processes are counted apart from the user's others. Raises OSError or ValueError."""
    wanted = {
        "RLIMIT_DATA": limits["memory"],
        "RLIMIT_AS": 4 * limits["memory"],
        "RLIMIT_FSIZE": limits["file_size"],
        "RLIMIT_NOFILE": limits["open_files"],
        "RLIMIT_CPU": limits["cpu"],
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 1 << 16,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_NICE": 0,
        "RLIMIT_RTPRIO": 0,
    }
    if own_users and _release() >= (5, 14):
        wanted["RLIMIT_NPROC"] = limits["processes"]
    for name, value in wanted.items():
        number = getattr(resource, name, None)
        if number is None:  # a system that does not count it
            continue
        hard = resource.getrlimit(number)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError) if name == "RLIMIT_AS" else contextlib.nullcontext():
            resource.setrlimit(number, (least, least))


def _release() -> tuple[int, ...]:
    """The kernel's: before 5.14 a namespace's processes were counted with all of the user's."""
    parts = os.uname().release.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())


def drop_privileges(*, become: bool) -> None:
    """Give up every capability for good, and become the sandbox's user. become: whether this
    process is of another user, root's. Raises OSError."""
    if become:
        os.setgroups([])
    for capability in range(LAST_CAPABILITY + 1):
        try:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last, or already without the right to
    if become:
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    with contextlib.suppress(OSError):
        syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()
    syscalls.check(int(syscalls.libc.capset(head, none)), "dropping capabilities")


def gain_nothing() -> None:
    """No program that is run from here on has more rights than this one. Raises OSError."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
