"""How many bytes are free here, for this process: the machine's, or the container's if less."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
NO_LIMIT = 1 << 60
"""Bytes; what version 1 writes for "no limit" lies above this."""


def total() -> int:
    """Bytes of memory that this process may ever have."""
    limits = [most for most, _ in _limits()]
    return min([int(psutil.virtual_memory().total), *limits])


def free() -> int:
    """Bytes that can be taken now without swapping; page cache counts as free."""
    rooms = [most - taken for most, taken in _limits()]
    return max(0, min([int(psutil.virtual_memory().available), *rooms]))


def give_back() -> None:
    """Let the system have what was freed and the C library keeps, where it can be told to: after
    what takes much memory for a while, as reading a vocabulary does."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # glibc's
        trim(0)


def _limits() -> Iterator[tuple[int, int]]:
    """Limits of this process's groups, with what each uses beside page cache."""
    for group in _groups("0::/", CGROUP):
        yield from _limit(group, "memory.max", "memory.current", "inactive_file")
    for group in _groups(":memory:/", CGROUP / "memory"):
        yield from _limit(
            group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        )


def _groups(marker: str, root: Path) -> Iterator[Path]:
    """The group of this process and those above it, each of which may have a limit of its own.

    A container may be told its path on the host, where nothing is here: its limit is at the root.
    """
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:  # not Linux
        return
    inside = Path(next((line.partition(marker)[2] for line in lines if marker in line), ""))
    if ".." not in inside.parts:
        yield from (root / part for part in dict.fromkeys((inside, *inside.parents)))


def _limit(group: Path, limit: str, used: str, cached: str) -> Iterator[tuple[int, int]]:
    try:
        most = int((group / limit).read_text())
        taken = int((group / used).read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        reclaimable = sum(int(n) for name, n in map(str.split, lines) if name == cached)
    except (OSError, ValueError):  # no such file, or "max"
        return
    if most < NO_LIMIT:
        yield most, max(0, taken - reclaimable)


def readable(count: int) -> str:
    """Bytes as people read them: 1.2 GB."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
