"""The processor as a device with MKL, twice: with equal bits, and without."""

from __future__ import annotations

from tramontane import memory
from tramontane.backend import Device
from tramontane.doctor.processor import model

from .find import find

PROMPTS = "mkl:prompts"
"""The device that gives up equal bits: MKL multiplies prompts in its own order of sums."""
RESERVE = 128 << 20
"""For matrices of 16 bits that are widened panel by panel, and for sums."""


def probe() -> list[Device]:
    """Both, where MKL is; nothing is loaded."""
    if (found := find()) is None:
        return []
    said = {
        "mkl": "where it adds in the order of the other kernels",
        PROMPTS: "for prompts, whose bits then depend on how they are cut",
    }
    details = {"MKL": found.version or found.path.name}
    return [
        Device(
            name=name,
            torch_device="cpu",
            label=f"{model()}, MKL {about}",
            memory_total=memory.total(),
            memory_free=memory.free(),
            rank=-1,
            reserve=RESERVE,
            kv_dtype="float16",
            details=details,
        )
        for name, about in said.items()
    ]
