"""The processor's cores."""

from __future__ import annotations

import os


def allowed_cores() -> int:
    """Logical cores that this process may run on, by its affinity where the system has such."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
