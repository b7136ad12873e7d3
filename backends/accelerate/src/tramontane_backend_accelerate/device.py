"""The processor as a device with Accelerate, twice: with equal bits, and without."""

from __future__ import annotations

from tramontane.backend import Device
from tramontane_backend_cpu.blas.devices import devices, prompts_of

from .find import can_run, here

NAME = "accelerate"
PROMPTS = prompts_of(NAME)


def probe() -> list[Device]:
    """Both, where Accelerate is; nothing is loaded."""
    machine = here()
    if not can_run(machine):
        return []
    return devices(NAME, "Accelerate", {"Accelerate": f"of macOS {machine.version}"})
