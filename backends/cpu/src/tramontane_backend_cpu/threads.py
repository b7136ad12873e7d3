"""The number of compute threads."""

from __future__ import annotations

from pathlib import Path

import psutil

from .processor import sysctl

CGROUP = Path("/sys/fs/cgroup")


def usable() -> int:
    """The number of physical cores that this process may use, limited by a container's CPU quota,
    rounded up. Decoding is memory-bound, so a core's second hardware thread does not help. The
    efficiency cores of Apple's processors are not counted: each phase of a step waits for the
    slowest thread.
    """
    logical = psutil.cpu_count() or 1
    fast = sysctl("hw.perflevel0.physicalcpu")
    physical = fast or psutil.cpu_count(logical=False) or logical
    try:
        allowed = len(psutil.Process().cpu_affinity())
    except AttributeError:  # not available on macOS
        allowed = logical
    limit = min(allowed, physical)
    quota = _quota()
    return max(1, limit if quota is None else min(limit, quota))


def _quota() -> int | None:
    """The CPU quota of a container, by cgroup v2 or v1; None: no limit."""
    try:
        spent, _, period = (CGROUP / "cpu.max").read_text().partition(" ")
    except OSError:
        try:
            spent = (CGROUP / "cpu/cpu.cfs_quota_us").read_text()
            period = (CGROUP / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        return -(-int(spent) // int(period)) if int(spent) > 0 else None
    except ValueError:  # "max"
        return None


def limit_others(count: int) -> None:
    """Limit torch's threads to the same number, because they compete with the backend's."""
    import torch

    torch.set_num_threads(count)
