"""What machine this is, as far as Metal goes, without importing torch."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

OLDEST = (14, 0)
"""Of macOS: torch's shader compiler needs it."""


@dataclass(frozen=True)
class Machine:
    """system: of `sys.platform`. version: of macOS. chip: a name for people. torch: whether it is
    installed."""

    system: str
    machine: str
    version: tuple[int, ...]
    chip: str
    torch: bool

    @property
    def lacks(self) -> str:
        """Why Metal cannot be used here; empty: it can."""
        if self.system != "darwin":
            return "Metal is Apple's, and this system is not macOS"
        if self.machine != "arm64":
            return "this Mac has no Apple silicon, which torch's Metal needs"
        if self.version < OLDEST:
            own, needed = (".".join(map(str, each)) for each in (self.version, OLDEST))
            return f"macOS is {own}, and torch's shader compiler needs {needed}"
        return "" if self.torch else "torch is not installed"


def this() -> Machine:
    """The machine that this runs on."""
    version = platform.mac_ver()[0]
    return Machine(
        sys.platform,
        platform.machine(),
        tuple(int(part) for part in version.split(".") if part.isdigit()),
        _chip() if sys.platform == "darwin" else "",
        find_spec("torch") is not None,
    )


def _chip() -> str:
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
