"""How many threads to compute with."""

from __future__ import annotations

from pathlib import Path

import psutil

from .processor import sysctl

CGROUP = Path("/sys/fs/cgroup")


def usable() -> int:
    """Physical cores that this process may run on: decoding is bound by memory, and a core's
    second thread only gets in the way. So do the slow cores of Apple's processors: a step has
    many parts, and waits for the last thread in each. A container's CPU quota counts, rounded up.
    """
    logical = psutil.cpu_count() or 1
    fast = sysctl("hw.perflevel0.physicalcpu")
    physical = fast or psutil.cpu_count(logical=False) or logical
    try:
        allowed = len(psutil.Process().cpu_affinity())
    except AttributeError:  # macOS has none
        allowed = logical
    most = min(allowed, physical)
    quota = _quota()
    return max(1, most if quota is None else min(most, quota))


def _quota() -> int | None:
    """CPUs that a container grants, by cgroup v2 and v1; None: no limit."""
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
    """Keep torch from having more threads than we have: ours and its own would fight."""
    import torch

    torch.set_num_threads(count)
