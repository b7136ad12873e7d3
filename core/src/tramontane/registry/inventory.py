"""Every installed distribution that brings something, what it brings, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint

from tramontane.errors import PluginError
from tramontane.plugin import Offer

from . import EVENTS, FLAGS, KINDS, Registry, canonical, distributions


@dataclass(frozen=True)
class Trouble:
    """One name that does not work, and why."""

    kind: str
    name: str
    error: PluginError


@dataclass(frozen=True)
class Installed:
    """One distribution."""

    name: str
    version: str
    summary: str
    allowed: bool
    """Whether TRAMONTANE_PLUGINS lets it load."""
    offers: dict[str, list[Offer]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


def inventory(registry: Registry) -> list[Installed]:
    """Load every plugin that may load, and say what became of it. Never raises for a plugin."""
    everything = Registry()
    allowed = set(_names(registry))
    found = []
    for name, distribution in sorted(_distributions(everything).items()):
        item = _installed(distribution, canonical(name) in allowed)
        if item.allowed:
            for kind in KINDS:
                for entry in _own(registry, kind, name):
                    _add(item, registry, kind, entry)
                item.offers.get(kind, []).sort(key=lambda offer: offer.name)
            for entry in _own(registry, EVENTS, name):
                _listen(item, registry, entry)
            for entry in _own(registry, FLAGS, name):
                _flag(item, registry, entry)
        found.append(item)
    return found


def _installed(distribution: Distribution, allowed: bool) -> Installed:
    summary = distribution.metadata["Summary"] or ""
    return Installed(distribution.name, distribution.version, summary, allowed)


def _add(item: Installed, registry: Registry, kind: str, entry: EntryPoint) -> None:
    try:
        offer = registry.get(KINDS[kind], entry.name)
    except PluginError as error:
        item.troubles.append(Trouble(kind, entry.name, error))
    else:
        if offer not in item.offers.setdefault(kind, []):
            item.offers[kind].append(offer)


def _listen(item: Installed, registry: Registry, entry: EntryPoint) -> None:
    try:
        registry.listener(entry)
    except PluginError as error:
        item.troubles.append(Trouble(EVENTS, entry.name, error))
    else:
        item.events.append(entry.name)


def _flag(item: Installed, registry: Registry, entry: EntryPoint) -> None:
    try:
        registry.flag(entry)
    except PluginError as error:
        item.troubles.append(Trouble(FLAGS, entry.name, error))


def _own(registry: Registry, kind: str, distribution: str) -> list[EntryPoint]:
    entries = registry.entries(kind)
    return [entry for entry in entries if entry.dist and entry.dist.name == distribution]


def _distributions(registry: Registry) -> dict[str, Distribution]:
    return distributions(e for kind in (*KINDS, EVENTS) for e in registry.entries(kind))


def _names(registry: Registry) -> list[str]:
    return [canonical(name) for name in _distributions(registry)]
