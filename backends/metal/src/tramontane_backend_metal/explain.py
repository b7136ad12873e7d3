"""What `tramontane doctor` is told of Metal."""

from __future__ import annotations

from tramontane.backend import Reason

from .machine import Machine, this


def explain() -> list[Reason]:
    """Of this machine. Implements `plugin.Backend.explain`."""
    return list(reasons(this()))


def reasons(machine: Machine) -> list[Reason]:
    """What is missing, or what there is."""
    if not machine.lacks:
        chip = machine.chip or "Apple silicon"
        return [Reason(f"{chip}: its kernels were checked on other systems, and not on a Mac yet")]
    remedy = ""
    if machine.system == "darwin":
        remedy = "pip install torch" if machine.machine == "arm64" else ""
        if "macOS is" in machine.lacks:
            remedy = "update macOS, or use --device cpu"
    return [Reason(machine.lacks, remedy)]
