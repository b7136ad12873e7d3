"""Which model family a person means: by a name of its offer, its distribution, or its folder."""

from __future__ import annotations

from tramontane.errors import RequestError
from tramontane.plugin import Architecture
from tramontane.registry import Registry, canonical


def family(registry: Registry, name: str) -> Architecture:
    """The offer that `name` names.

    Raises PluginError where there is none, RequestError where a distribution has several.
    """
    if name in registry.names("architectures"):
        return registry.get(Architecture, name)
    wanted = canonical(name)
    entries = [
        entry
        for entry in registry.entries("architectures")
        if entry.dist and wanted in _names(entry.dist.name)
    ]
    found: dict[str, Architecture] = {}
    for entry in entries:
        offer = registry.get(Architecture, entry.name)
        found[offer.name] = offer
    match list(found.values()):
        case []:
            return registry.get(Architecture, name)  # which says what there is
        case [offer]:
            return offer
        case _:
            raise RequestError(f"--like {name}: it has several families; name one of "
                               f"{', '.join(sorted(found))}")  # fmt: skip


def _names(distribution: str) -> tuple[str, str]:
    """A distribution's name, and that of its folder: what follows its kind."""
    name = canonical(distribution)
    return name, name.rpartition("-arch-")[2] if "-arch-" in name else name.rpartition("-")[2]
