"""How many bytes are free here, for this process: the machine's, or the container's if less."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def total() -> int:
    """Bytes of memory that this process may ever have."""
    limit = _limit()
    machine = int(psutil.virtual_memory().total)
    return machine if limit is None else min(machine, limit[0])


def free() -> int:
    """Bytes that can be taken now without swapping; page cache counts as free."""
    machine = int(psutil.virtual_memory().available)
    limit = _limit()
    return machine if limit is None else min(machine, limit[0] - limit[1])


def _limit() -> tuple[int, int] | None:
    """A container's limit and what it uses beside page cache (cgroup v2, then v1)."""
    for limit, used, stat, cached in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
         "total_inactive_file"),
    ):  # fmt: skip
        try:
            most = int((CGROUP / limit).read_text())
            taken = int((CGROUP / used).read_text())
            lines = (CGROUP / stat).read_text().splitlines()
        except (OSError, ValueError):  # no such file, or "max"
            continue
        reclaimable = sum(int(n) for name, n in map(str.split, lines) if name == cached)
        if most < 1 << 60:
            return most, max(0, taken - reclaimable)
    return None


def readable(count: int) -> str:
    """Bytes as people read them: 1.2 GB."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
