"""LLVM's description of this machine, cached on disk, because loading LLVM's library takes 45 MB.

The cache key is a hash of Linux's description of the processor, so that a folder that is copied to
another machine is not used there. On other systems LLVM is queried each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from tramontane.system import paths

DESCRIPTION = Path("/proc/cpuinfo")
TELLING = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
"""Lines of an x86-64 processor's description that do not change between boots."""


@dataclass(frozen=True)
class Host:
    """triple: LLVM's name of the machine. features: of the processor, as LLVM names them."""

    name: str
    triple: str
    features: tuple[str, ...]


@cache
def host() -> Host:
    """The description of this machine, from the cache or LLVM."""
    path = _path()
    description = None if path is None else _cached(path)
    if description is None:
        description = _by_llvm()
        if path is not None:
            _write(path, description)
    return description


def base() -> Path:
    """The folder of everything compiled. Nothing is created here."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or paths.cache() / "numba")


def _path() -> Path | None:
    if platform.machine() != "x86_64":
        return None
    try:
        with DESCRIPTION.open(encoding="utf-8") as lines:
            first = {}
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon:
                    break
                first[name.strip()] = value.strip()
    except OSError:
        return None
    if not first.get("flags"):
        return None
    key = repr([version("llvmlite"), *(first.get(name) for name in TELLING)])
    return base() / f"host-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def _cached(path: Path) -> Host | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Host(str(data["name"]), str(data["triple"]), tuple(map(str, data["features"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, description: Host) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(description), file)
        os.replace(written, path)
    except OSError:  # `object_cache.py` logs a warning about the folder
        return


def _by_llvm() -> Host:
    import llvmlite.binding as llvm

    has = tuple(sorted(name for name, has in llvm.get_host_cpu_features().items() if has))
    return Host(llvm.get_host_cpu_name(), llvm.get_process_triple(), has)
