"""Memory available to this process: the machine's, or the container's or its own limit, if that is
less."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
CACHES = ("inactive_file", "active_file")
"""Page cache in a cgroup's memory.stat. What was read twice, such as a model's file, is active: it
can be reclaimed all the same, as in the system's MemAvailable. Memory of a tmpfs is in neither."""
NO_LIMIT = 1 << 60
"""Bytes; cgroup version 1 writes a larger number for "no limit"."""


def total() -> int:
    """Maximum memory of this process in bytes."""
    limits = [limit for limit, _ in _limits()]
    return min([int(psutil.virtual_memory().total), *limits])


def free() -> int:
    """Bytes that can be allocated now without swapping; page cache counts as free."""
    available = [limit - used for limit, used in _limits()]
    return max(0, min([int(psutil.virtual_memory().available), *available]))


def give_back() -> None:
    """Return freed memory that the C library retains to the system, where it supports that: to be
    called after work that temporarily takes much memory, such as reading a vocabulary."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # glibc's
        trim(0)


@contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Within, blocks of a megabyte or more go back to the system when they are freed, where the C
    library supports that. Else small results that are made among large temporary tensors keep the
    memory of these: glibc holds up to ten times what is in use."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        yield
        return
    mallopt(MMAP_THRESHOLD, 1 << 20)
    try:
        yield
    finally:  # as large as glibc lets them grow by itself
        mallopt(MMAP_THRESHOLD, 32 << 20)
        mallopt(TRIM_THRESHOLD, 64 << 20)


def _limits() -> Iterator[tuple[int, int]]:
    """(limit, used) bytes of the process itself and of each of its cgroups; without page cache."""
    yield from _own_limits()
    for group in _groups("0::/", CGROUP):
        yield from _limit(group, "memory.max", "memory.current", CACHES)
    for group in _groups(":memory:/", CGROUP / "memory"):
        total = tuple(f"total_{name}" for name in CACHES)
        yield from _limit(group, "memory.limit_in_bytes", "memory.usage_in_bytes", total)


def _own_limits() -> Iterator[tuple[int, int]]:
    """What `ulimit -d` and `ulimit -v` allow: private memory, and all that is mapped."""
    if sys.platform != "linux":
        return
    import resource

    used = psutil.Process().memory_info()
    for kind, taken in ((resource.RLIMIT_DATA, used.data), (resource.RLIMIT_AS, used.vms)):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            yield limit, int(taken)


def _groups(marker: str, root: Path) -> Iterator[Path]:
    """The cgroup of this process and its parents, each of which may have a limit.

    In a container the path may be the one on the host, which does not exist: its limit is then at
    the root.
    """
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:  # not Linux
        return
    inside = Path(next((line.partition(marker)[2] for line in lines if marker in line), ""))
    if ".." not in inside.parts:
        yield from (root / part for part in dict.fromkeys((inside, *inside.parents)))


def _limit(
    group: Path, limit: str, used: str, caches: tuple[str, ...]
) -> Iterator[tuple[int, int]]:
    try:
        limit_bytes = int((group / limit).read_text())
        used_bytes = int((group / used).read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        reclaimable = sum(int(n) for name, n in map(str.split, lines) if name in caches)
    except (OSError, ValueError):  # no such file, or "max"
        return
    if limit_bytes < NO_LIMIT:
        yield limit_bytes, max(0, used_bytes - reclaimable)


def readable(count: int) -> str:
    """A number of bytes with a decimal unit, such as 1.2 GB."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
