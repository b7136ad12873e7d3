"""Which device to run on: what the backends found, or plain torch on the CPU."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from tramontane import memory
from tramontane.backend import HOST, Device
from tramontane.errors import ConfigError
from tramontane.plugin import Backend, load
from tramontane.registry import Registry

REFERENCE = "reference"


def choose_device(wanted: str, registry: Registry) -> tuple[Device, Backend | None]:
    """The device named, or for `auto` the best there is; without any backend, the reference.

    Raises PluginNotInstalled, or ConfigError when a backend is installed but finds no such device.
    """
    if wanted == "auto":
        found = found_devices(registry.all(Backend))
        return max(found, key=lambda pair: pair[0].rank) if found else (reference_device(), None)
    name = wanted.partition(":")[0]
    if wanted == REFERENCE:
        return reference_device(), None
    found = found_devices([registry.get(Backend, name)])
    if not found:
        raise ConfigError(f"{wanted!r} is installed but finds no device; see tramontane doctor")
    same = [pair for pair in found if pair[0].name == wanted]
    if not same and wanted != name:
        there = ", ".join(device.name for device, _ in found)
        raise ConfigError(f"there is no device {wanted!r}; {name} finds {there}")
    return (same or found)[0]


def found_devices(offers: Iterable[Backend]) -> list[tuple[Device, Backend | None]]:
    """What these backends find, in their order."""
    return [(device, offer) for offer in offers for device in load(offer.probe)()]


def accelerators(registry: Registry) -> list[tuple[Device, Backend | None]]:
    """Devices with memory of their own, the best first."""
    found = [pair for pair in found_devices(registry.all(Backend)) if pair[0].memory != HOST]
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
    again = found_devices([] if backend is None else [backend])
    return next((each.memory_free for each, _ in again if each.name == device.name), 0)


def reference_device() -> Device:
    """The CPU through plain torch: slow and right, needs no plugin."""
    return Device(
        name=REFERENCE,
        torch_device="cpu",
        label=f"{platform.processor() or platform.machine()} (plain torch)",
        memory_total=memory.total(),
        memory_free=memory.free(),
    )
