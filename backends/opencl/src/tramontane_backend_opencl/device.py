"""Describe OpenCL devices, without importing torch or pyopencl."""

from __future__ import annotations

from tramontane import memory
from tramontane.backend import HOST, Device

from .loader import Found, LoaderError, look

RANK = 6
"""Below a backend of the card's maker, above the processor."""
NOT_ASKED = -5
"""Of devices that are the processor itself: only when asked for."""


def probe() -> list[Device]:
    """Devices of all platforms, in the loader's order."""
    try:
        found = look()
    except LoaderError:  # `explain` says so
        return []
    return described(found)


def described(found: list[Found]) -> list[Device]:
    """Devices as core knows them; those that cannot run are left out, and keep their number."""
    usable = [(index, each) for index, each in enumerate(found) if not each.lacks]
    return [_device(index, each, alone=len(usable) == 1) for index, each in usable]


def _device(index: int, each: Found, *, alone: bool) -> Device:
    own = each.memory
    free = own
    if each.unified:
        own, free = min(own, memory.total()), min(own, memory.free())
    return Device(
        name="opencl" if alone else f"opencl:{index}",
        torch_device=f"ocl:{index}",
        label=f"{each.name} ({each.platform})",
        memory_total=own,
        memory_free=free,
        rank=NOT_ASKED if each.is_processor else RANK,
        dtype="float32" if each.is_processor else "float16",
        memory=HOST if each.is_processor else "",
        reserve=256 << 20,
        features=each.features,
        details={"version": each.version, "platform": each.platform},
    )
