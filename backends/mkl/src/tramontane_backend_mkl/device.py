"""The processor as a device with MKL, twice: with equal bits, and without."""

from __future__ import annotations

from tramontane.backend import Device
from tramontane_backend_cpu.blas.devices import devices, prompts_of

from .find import find

NAME = "mkl"
PROMPTS = prompts_of(NAME)


def probe() -> list[Device]:
    """Both, where MKL is; nothing is loaded."""
    if (found := find()) is None:
        return []
    return devices(NAME, "MKL", {"MKL": found.version or found.path.name})
