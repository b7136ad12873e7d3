"""Whether Accelerate is there, with the interface that is used here."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

FRAMEWORK = Path("/System/Library/Frameworks/Accelerate.framework/Accelerate")
"""A name that the system's loader knows; there is no such file on newer systems."""
SUFFIX = "$NEWLAPACK$ILP64"
"""Of functions of the interface with 64-bit integers."""
SINCE = (13, 3)
"""The macOS that brought it."""


@dataclass(frozen=True)
class System:
    """system: `sys.platform`. version: of macOS, "" elsewhere."""

    system: str
    version: str


def here() -> System:
    """This machine."""
    return System(sys.platform, platform.mac_ver()[0])


def can_run(machine: System) -> bool:
    """Whether it has Accelerate with that interface."""
    numbers = tuple(int(part) for part in machine.version.split(".")[:2] if part.isdigit())
    return machine.system == "darwin" and numbers >= SINCE
