"""A seccomp filter: system calls that a program has no need of are refused."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from . import syscalls
from .syscall_numbers import (
    ABSENT,
    AFFINITY,
    AUDIT_ARCH,
    CLONE,
    IOCTL,
    PRLIMIT,
    REFUSED,
    SOCKET,
)

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, NOT_THERE = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
NUMBER, ARCHITECTURE, FIRST, SECOND = 0, 4, 16, 24
"""Where the filter finds a call's number, architecture and (lower halves of) arguments."""
X32 = 0x40000000
NEW_NAMESPACES = 0x7E020000
FAMILIES = (1, 2, 10)
"""Of sockets: local, IPv4, IPv6."""
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which write what another program then reads from the terminal."""

KEEPER = 1
"""The process that watches; the kernel lets nobody inside send it signals."""

Step = tuple[int, int, int, int]


def program(machine: str) -> bytes:
    """The filter for an architecture, as the kernel reads it."""
    column = 0 if machine == "x86_64" else 1
    steps: list[Step] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        steps += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for table, answer in ((REFUSED, REFUSE), (ABSENT, NOT_THERE)):
        for numbers in table.values():
            number = numbers[column]
            if number is not None:
                steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, answer)]
    # each looks at an argument, and is the last thing done with a call of its number
    steps += _looked_at(CLONE[column], FIRST, [(ANY_BIT, NEW_NAMESPACES)], REFUSE, ALLOW)
    steps += _looked_at(SOCKET[column], FIRST, [(EQUAL, each) for each in FAMILIES], ALLOW, REFUSE)
    steps += _looked_at(
        IOCTL[column], SECOND, [(EQUAL, each) for each in TERMINAL_INPUT], REFUSE, ALLOW
    )
    for numbers in (PRLIMIT, AFFINITY):
        steps += _looked_at(numbers[column], FIRST, [(EQUAL, KEEPER)], REFUSE, ALLOW)
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _looked_at(
    number: int, where: int, tests: list[tuple[int, int]], if_so: int, otherwise: int
) -> list[Step]:
    inner: list[Step] = [(LOAD, 0, 0, where)]
    for test, value in tests:
        inner += [(test, 0, 1, value), (RETURN, 0, 0, if_so)]
    inner.append((RETURN, 0, 0, otherwise))
    return [(EQUAL, 0, len(inner), number), *inner]


def restrict() -> None:
    """Set the filter for this process and its children. Raises OSError."""
    code = program(os.uname().machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    pointer = ctypes.create_string_buffer(head, len(head))
    syscalls.prctl(syscalls.PR_SET_SECCOMP, 2, ctypes.addressof(pointer))
