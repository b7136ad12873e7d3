"""Which sandbox a machine gives."""

from __future__ import annotations

import os
import platform
import shutil
import sys

from tramontane.errors import UsageError

from .errors import NoSandbox
from .inside.syscall_numbers import AUDIT_ARCH
from .seatbelt import SANDBOX_EXEC

KINDS = ("auto", "bubblewrap", "namespaces", "seatbelt", "off")
OFF = "`--sandbox off` runs code and commands of models with all of your own rights"


def candidates(wanted: str) -> list[str]:
    """The kinds to try, the best first. Raises UsageError for a name that is none, NoSandbox where
    this system has none of them."""
    if wanted not in KINDS:
        raise UsageError(f"sandbox {wanted!r}: must be {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if os.name == "nt":
        raise NoSandbox("code and commands of models are not run on Windows")
    if wanted == "off":
        return ["off"]
    missing = {kind: _missing(kind) for kind in KINDS[1:-1]}
    if wanted != "auto":
        if why := missing[wanted]:
            raise NoSandbox(f"there is no sandbox {wanted!r} here: {why}", hint=OFF)
        return [wanted]
    # bubblewrap leaves root root: our own makes it nobody
    order = ("namespaces", "bubblewrap") if _root() else ("bubblewrap", "namespaces")
    found = [kind for kind in (*order, "seatbelt") if not missing[kind]]
    if not found:
        raise NoSandbox(f"there is no sandbox on {sys.platform}", hint=OFF)
    return found


def _missing(kind: str) -> str:
    """Why this system cannot have it, or ""."""
    if kind == "seatbelt":
        if platform.system() != "Darwin":
            return "it is macOS's"
        return "" if os.path.exists(SANDBOX_EXEC) else f"{SANDBOX_EXEC} does not exist"
    if platform.system() != "Linux":
        return "it is Linux's"
    if (machine := platform.machine()) not in AUDIT_ARCH:
        return f"the system calls of {machine} are not known"
    if kind == "bubblewrap" and not shutil.which("bwrap"):
        return "bwrap is not installed"
    return ""


def _root() -> bool:
    return os.geteuid() == 0
