"""What LLVM says of this machine: asked once on a machine, since its library takes 45 MB.

The answer is kept under a digest of how Linux describes the processor, so that a folder that is
taken to another machine is none of its answers. Where Linux does not, LLVM is asked each time.
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

from tramontane import folders

DESCRIPTION = Path("/proc/cpuinfo")
TELLING = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
"""Lines of the description that stay the same, of x86-64 processors: all that there are do the
same."""


@dataclass(frozen=True)
class Host:
    """triple: LLVM's name of the machine. features: of the processor, as LLVM names them."""

    name: str
    triple: str
    features: tuple[str, ...]


@cache
def host() -> Host:
    """This machine's."""
    path = _path()
    found = None if path is None else _kept(path)
    if found is None:
        found = _asked()
        if path is not None:
            _keep(path, found)
    return found


def base() -> Path:
    """The folder of everything compiled. Nothing is created here."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or folders.cache() / "numba")


def _path() -> Path | None:
    if platform.machine() != "x86_64":
        return None
    try:
        with DESCRIPTION.open(encoding="utf-8") as lines:
            first = {}
            for line in lines:
                name, colon, told = line.partition(":")
                if not colon:
                    break
                first[name.strip()] = told.strip()
    except OSError:
        return None
    if not first.get("flags"):
        return None
    told = repr([version("llvmlite"), *(first.get(name) for name in TELLING)])
    return base() / f"host-{hashlib.sha256(told.encode()).hexdigest()[:16]}.json"


def _kept(path: Path) -> Host | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Host(str(held["name"]), str(held["triple"]), tuple(map(str, held["features"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path, found: Host) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(found), file)
        os.replace(written, path)
    except OSError:  # `object_cache.py` says so where it matters
        return


def _asked() -> Host:
    import llvmlite.binding as llvm

    has = tuple(sorted(name for name, has in llvm.get_host_cpu_features().items() if has))
    return Host(llvm.get_host_cpu_name(), llvm.get_process_triple(), has)
