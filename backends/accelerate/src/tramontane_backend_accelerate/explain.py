"""What `tramontane doctor` is told of Accelerate."""

from __future__ import annotations

from tramontane.backend import Reason

from .find import SINCE, System, can_run, here


def explain() -> list[Reason]:
    """Of this machine. Implements `plugin.Backend.explain`."""
    return reasons(here())


def reasons(machine: System) -> list[Reason]:
    """What is there on a machine, and what is not."""
    if machine.system != "darwin":
        return [Reason(
            f"there is no Accelerate on this system ({machine.system}): it is a part of macOS; the "
            "CPU backend needs none"
        )]  # fmt: skip
    if not can_run(machine):
        since = ".".join(map(str, SINCE))
        said = f"Accelerate of macOS {machine.version} lacks the interface of {since}"
        return [Reason(said, f"update macOS to {since} or newer")]
    return [Reason(
        f"Accelerate of macOS {machine.version}: --device accelerate measures once for each shape "
        "of matrix whether it is faster, and leaves the others to the CPU backend"
    )]  # fmt: skip
