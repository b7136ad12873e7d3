"""Describe Apple's graphics as a device, without importing torch."""

from __future__ import annotations

from tramontane import memory
from tramontane.backend import HOST, Device

from .machine import Machine, this

RANK = 8


def probe() -> list[Device]:
    """The graphics of this Mac, or nothing."""
    return described(this())


def described(machine: Machine) -> list[Device]:
    """As core knows it: its memory is the processor's."""
    if machine.lacks:
        return []
    return [
        Device(
            name="metal",
            torch_device="mps:0",
            label=f"graphics of {machine.chip or 'Apple silicon'}",
            memory_total=memory.total(),
            memory_free=memory.free(),
            rank=RANK,
            dtype="float16",
            memory=HOST,
            reserve=512 << 20,
            features=("unified memory", "untested"),
            details={"macOS": ".".join(map(str, machine.version))},
        )
    ]
