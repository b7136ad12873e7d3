"""What `tramontane doctor` is told of MKL."""

from __future__ import annotations

from tramontane.backend import Reason

from .find import WHEEL, Found, can_run, find, here


def explain() -> list[Reason]:
    """Of this machine. Implements `plugin.Backend.explain`."""
    return reasons(here(), find())


def reasons(machine: tuple[str, str, int], found: Found | None) -> list[Reason]:
    """machine: see `find.can_run`. found: MKL, if it is there."""
    if not can_run(*machine):
        system, name, bits = machine
        return [Reason(
            f"there is no MKL for this machine ({system}, {name}, {bits} bits): it runs on x86-64 "
            "with Linux or Windows; the CPU backend needs none"
        )]  # fmt: skip
    if found is None:
        return [Reason("MKL is not in this environment", f'pip install "{WHEEL}"')]
    return [Reason(
        f"MKL {found.version} at {found.path}: --device mkl measures once for each shape of matrix "
        "whether it is faster, and leaves the others to the CPU backend"
    )]  # fmt: skip
