"""Landlock: which files this process and its children may reach, whatever the mounts say."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from . import syscalls

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1, 2, 4, 8
TRUNCATE, DEVICE_CONTROL = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_FOLDER
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL
ABSTRACT_SOCKETS, SIGNALS = 1, 2
NEVER = (1 << 6) | (1 << 11)
"""Making character and block devices."""


def version() -> int:
    """Of the kernel's interface; 0 where there is none."""
    try:
        return syscalls.syscall(syscalls.LANDLOCK_CREATE, None, 0, 1)
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str], devices: Iterable[str]) -> int:
    """Allow reading and running below `read`, all below `write`, reading and writing `devices`,
    and listing every folder.

    Returns the interface's version, 0 where the kernel has none: then nothing is restricted.
    Raises OSError.
    """
    found = version()
    if not found:
        return 0
    count = 13 if found < 2 else 14 if found < 3 else 15 if found < 5 else 16
    handled = (1 << count) - 1
    scopes = ABSTRACT_SOCKETS | SIGNALS if found >= 6 else 0
    asked = struct.pack("QQQ", handled, 0, scopes)
    size = 8 if found < 4 else 16 if found < 6 else 24
    buffer = ctypes.create_string_buffer(asked, len(asked))
    rules = syscalls.syscall(syscalls.LANDLOCK_CREATE, buffer, size, 0)
    for paths, access in (
        (read, READ),
        (write, handled & ~NEVER & ~DEVICE_CONTROL),
        (devices, READ_FILE | WRITE_FILE),
        (["/"], READ_FOLDER),
    ):
        for path in paths:
            _allow(rules, path, access & handled)
    syscalls.syscall(syscalls.LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)
    return found


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            access &= OF_A_FILE
        rule = struct.pack("=Qi", access, place)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        syscalls.syscall(syscalls.LANDLOCK_ADD, rules, 1, buffer, 0)
    finally:
        os.close(place)
