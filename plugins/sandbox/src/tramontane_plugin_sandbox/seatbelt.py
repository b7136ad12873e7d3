"""The profile for macOS's sandbox-exec."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SANDBOX_EXEC = "/usr/bin/sandbox-exec"
SYSTEM = (
    "/usr", "/bin", "/sbin", "/System", "/Library/Apple", "/private/etc/localtime",
    "/private/var/db/timezone", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero")


def profile(read: Iterable[Path], write: Iterable[Path], *, network: bool) -> str:
    """All is denied but what is named: reading and running below `read` and the system's own
    folders, writing below `write`. Paths must be real ones, as macOS resolves links first."""
    lines = [
        "(version 1)",
        "(deny default)",
        "(allow process-fork)",
        "(allow signal (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        '(allow file-read* (literal "/"))',
        '(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))',
    ]
    seen = [*SYSTEM, *map(str, read), *map(str, write)]
    lines += [f"(allow file-read* process-exec* (subpath {_quoted(path)}))" for path in seen]
    lines += [f"(allow file-write* (subpath {_quoted(str(path))}))" for path in write]
    lines += [f"(allow file-write-data (literal {_quoted(path)}))" for path in DEVICES]
    if network:
        lines.append("(allow network* system-socket)")
    return "\n".join(lines)


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
