"""What the plugins say of this machine, and what is wrong with themselves."""

from __future__ import annotations

from collections.abc import Iterator

from tramontane.backend import Device, Reason
from tramontane.errors import PluginBroken
from tramontane.memory import readable
from tramontane.plugin import Backend, load
from tramontane.registry import Registry
from tramontane.registry.inventory import inventory
from tramontane.system.standing import can_stand

from .finding import Finding


def devices(registry: Registry) -> Iterator[Finding]:
    """Every device of every backend."""
    offers = registry.all(Backend)
    for offer in offers:
        try:
            found: list[Device] = load(offer.probe)()
        except Exception as error:  # noqa: BLE001 - a probe must not raise, and one that does is told
            said = f"{offer.name}: looking for devices raised {type(error).__name__}: {error}"
            remedy = f"update or uninstall the plugin that offers the backend {offer.name!r}"
            yield Finding("device", "problem", said, remedy, {"backend": offer.name})
            continue
        if found and not can_stand(offer, registry):
            said = f"{offer.name}: stands on the backend {offer.stands_on!r}, which is missing"
            remedy = f"pip install tramontane-backend-{offer.stands_on}"
            yield Finding("device", "warning", said, remedy, {"backend": offer.name})
            continue
        for device in found:
            yield _device(offer, device)
        if offer.explain is not None:
            reasons: list[Reason] = load(offer.explain)()
            for reason in reasons:
                yield Finding(
                    "device",
                    "warning" if reason.remedy else "ok",
                    f"{offer.name}: {reason.message}",
                    reason.remedy,
                    {"backend": offer.name},
                )
        elif not found:
            said = f"{offer.name}: no such device here"
            yield Finding("device", "ok", said, details={"backend": offer.name})
    if not offers:
        yield Finding(
            "device",
            "warning",
            "no backend is installed: models run slowly on plain torch",
            "pip install tramontane-backend-cpu",
        )


def _device(offer: Backend, device: Device) -> Finding:
    free = f"{readable(device.memory_free)} of {readable(device.memory_total)} free"
    said = f"{device.name}: {device.label}, {free}, computes in {device.dtype}"
    if device.features:
        said += f", {' '.join(device.features)}"
    said += "".join(f", {what} {value}" for what, value in device.details.items())
    details = {
        "backend": offer.name,
        "name": device.name,
        "label": device.label,
        "memory_total": device.memory_total,
        "memory_free": device.memory_free,
        "dtype": device.dtype,
        "features": list(device.features),
        **device.details,
    }
    return Finding("device", "ok", said, details=details)


def plugins(registry: Registry) -> Iterator[Finding]:
    """Those that are broken, one line for each reason; or how many there are."""
    found = inventory(registry)
    broken = {str(t.error): (item, t.error) for item in found for t in item.troubles}
    for message, (item, error) in broken.items():
        # a clash, and a plugin for another core, say themselves what to do
        mendable = isinstance(error, PluginBroken)
        remedy = f"pip install -U {item.name}, or pip uninstall {item.name}" if mendable else ""
        details = {"distribution": item.name, "version": item.version}
        yield Finding("plugins", "problem", message, remedy, details)
    if kept := [item.name for item in found if not item.allowed]:
        said = f"TRAMONTANE_PLUGINS excludes {', '.join(kept)}"
        yield Finding("plugins", "warning", said, "unset TRAMONTANE_PLUGINS, or list them in it")
    if not found:
        remedy = "pip install tramontane, which installs the most common ones"
        yield Finding(
            "plugins", "warning", "none is installed: the core alone runs no model", remedy
        )
    elif not broken:
        names = [item.name for item in found if item.allowed]
        yield Finding("plugins", "ok", f"{len(names)} installed", details={"names": names})
