"""Which device to run on: what the backends found, or plain torch on the CPU."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from tramontane import memory
from tramontane.backend import HOST, Device
from tramontane.errors import ConfigError
from tramontane.plugin import Backend, load
from tramontane.registry import Registry

from .standing import can_stand, completed

REFERENCE = "reference"


def choose_device(wanted: str, registry: Registry) -> tuple[Device, Backend | None]:
    """The device named, or for `auto` the best there is; without any backend, the reference.

    A backend that stands on another has the other's targets. Raises PluginNotInstalled, or
    ConfigError when a backend is installed but finds no such device.
    """
    if wanted == "auto":
        offers = [each for each in registry.all(Backend) if can_stand(each, registry)]
        found = found_devices(offers, registry)
        return max(found, key=lambda pair: pair[0].rank) if found else (reference_device(), None)
    name = wanted.partition(":")[0]
    if wanted == REFERENCE:
        return reference_device(), None
    found = found_devices([registry.get(Backend, name)], registry)
    if not found:
        raise ConfigError(f"{wanted!r} is installed but finds no device; see tramontane doctor")
    same = [pair for pair in found if pair[0].name == wanted]
    if not same and wanted != name:
        there = ", ".join(device.name for device, _ in found)
        raise ConfigError(f"there is no device {wanted!r}; {name} finds {there}")
    return (same or found)[0]


def found_devices(
    offers: Iterable[Backend], registry: Registry
) -> list[tuple[Device, Backend | None]]:
    """What these backends find, in their order. Raises as `completed` for one that finds any."""
    found: list[tuple[Device, Backend | None]] = []
    for offer in offers:
        if devices := load(offer.probe)():
            whole = completed(offer, registry)
            found += [(device, whole) for device in devices]
    return found


def accelerators(registry: Registry) -> list[tuple[Device, Backend | None]]:
    """Devices with memory of their own, the best first."""
    offers = [each for each in registry.all(Backend) if can_stand(each, registry)]
    found = [pair for pair in found_devices(offers, registry) if pair[0].memory != HOST]
    return sorted(found, key=lambda pair: -pair[0].rank)


def host_device(registry: Registry) -> tuple[Device, Backend | None]:
    """What runs on the processor: the backend "cpu", or without it the reference."""
    if "cpu" in registry.names("backends"):
        return choose_device("cpu", registry)
    return reference_device(), None


def free_now(device: Device, backend: Backend | None) -> int:
    """Bytes that are free on a device now; `Device.memory_free` is of when it was found."""
    if device.memory == HOST:
        return memory.free()
    again: list[Device] = [] if backend is None else load(backend.probe)()
    return next((each.memory_free for each in again if each.name == device.name), 0)


def reference_device() -> Device:
    """The CPU through plain torch: slow and right, needs no plugin."""
    return Device(
        name=REFERENCE,
        torch_device="cpu",
        label=f"{platform.processor() or platform.machine()} (plain torch)",
        memory_total=memory.total(),
        memory_free=memory.free(),
    )
