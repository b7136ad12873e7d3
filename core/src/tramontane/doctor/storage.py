"""Memory, cache folders, and what is free on their disks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tramontane import memory
from tramontane.memory import readable
from tramontane.system import paths

from .finding import Finding

LITTLE_MEMORY = 1 << 30
LITTLE_DISK = 5 << 30


def free_memory() -> Finding:
    """What is there, for this process."""
    import psutil

    total, free = memory.total(), memory.free()
    said = f"{readable(free)} of {readable(total)} free"
    machine = int(psutil.virtual_memory().total)
    if machine > total:
        said += f" (the container's limit; the machine has {readable(machine)})"
    details = {"total": total, "free": free, "machine": machine}
    if free < LITTLE_MEMORY:
        remedy = "close other programs; models of under half a billion parameters fit"
        return Finding("memory", "warning", said, remedy, details)
    return Finding("memory", "ok", said, details=details)


def cache_folders() -> Iterator[Finding]:
    """Whether downloads and what is computed once can be kept, and on how much disk."""
    from huggingface_hub.constants import HF_HUB_CACHE

    hub, own = Path(HF_HUB_CACHE), paths.cache()
    yield _writable("hub cache", hub, "HF_HOME")
    yield _writable("cache", own, "TRAMONTANE_CACHE")
    yield _disk(hub)


def _writable(topic: str, folder: Path, variable: str) -> Finding:
    nearest = _nearest(folder)
    details = {"folder": str(folder), "exists": folder.exists()}
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        said = f"{folder} cannot be written: {error.strerror or error}"
        remedy = f"set {variable} to a writable folder, or correct the permissions of {nearest}"
        return Finding(topic, "problem", said, remedy, details)
    made = "" if folder.exists() else " (created when needed)"
    return Finding(topic, "ok", f"{folder}{made}", details=details)


def _disk(folder: Path) -> Finding:
    usage = shutil.disk_usage(_nearest(folder))
    said = f"{readable(usage.free)} of {readable(usage.total)} free at {folder}"
    details = {"free": usage.free, "total": usage.total}
    if usage.free < LITTLE_DISK:
        remedy = "remove models with `tramontane rm`, or set HF_HOME to a folder on another disk"
        return Finding("disk", "warning", said, remedy, details)
    return Finding("disk", "ok", said, details=details)


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that exists: what a missing one would be made in."""
    return next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))
