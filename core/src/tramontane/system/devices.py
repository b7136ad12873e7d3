"""Which device to run on: what the backends found, or plain torch on the CPU."""

from __future__ import annotations

import platform

from tramontane import memory
from tramontane.backend import Device
from tramontane.errors import ConfigError
from tramontane.plugin import Backend, load
from tramontane.registry import Registry

REFERENCE = "reference"


def choose_device(wanted: str, registry: Registry) -> tuple[Device, Backend | None]:
    """The device named, or for `auto` the best there is; without any backend, the reference.

    Raises PluginNotInstalled, or ConfigError when a backend is installed but finds no device.
    """
    if wanted == REFERENCE:
        return reference_device(), None
    if wanted == "auto":
        offers = registry.all(Backend)
    else:
        offers = [registry.get(Backend, wanted.partition(":")[0])]
    found = [(device, offer) for offer in offers for device in load(offer.probe)()]
    if wanted != "auto":
        found = [pair for pair in found if pair[0].name == wanted] or found[:1]
        if not found:
            raise ConfigError(f"{wanted!r} is installed but finds no device; see tramontane doctor")
    if not found:
        return reference_device(), None
    return max(found, key=lambda pair: pair[0].rank)


def reference_device() -> Device:
    """The CPU through plain torch: slow and right, needs no plugin."""
    return Device(
        name=REFERENCE,
        torch_device="cpu",
        label=f"{platform.processor() or platform.machine()} (plain torch)",
        memory_total=memory.total(),
        memory_free=memory.free(),
    )
