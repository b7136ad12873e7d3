"""The distribution under test, and what it brings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution

from tramontane.errors import PluginError
from tramontane.plugin import Offer
from tramontane.registry import EVENTS, KINDS, Registry


@dataclass(frozen=True)
class Subject:
    """An installed distribution. `registry` sees it and nothing else."""

    distribution: Distribution
    registry: Registry

    @classmethod
    def find(cls, name: str) -> Subject:
        """Raises PluginError when it is not installed, or brings nothing to Tramontane."""
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            raise PluginError(f"no distribution {name!r} is installed here") from error
        subject = cls(found, Registry([found.name]))
        if not subject.advertised():
            groups = ", ".join(f"tramontane.{kind}" for kind in (*KINDS, EVENTS))
            raise PluginError(f"{name} has no entry point in any of {groups}")
        return subject

    def kinds(self) -> list[str]:
        """The kinds of offer that it advertises."""
        return [kind for kind in KINDS if self.registry.entries(kind)]

    def advertised(self) -> list[tuple[str, EntryPoint]]:
        """Every entry point of it, with its kind; those of events too."""
        return [(kind, e) for kind in (*KINDS, EVENTS) for e in self.registry.entries(kind)]

    def modules(self) -> list[str]:
        """The plugin modules that its entry points name."""
        return sorted({entry.module for _, entry in self.advertised()})

    def offers(self, kind: str) -> list[Offer]:
        """What it yields for a kind, once each. A plugin that cannot be loaded yields nothing:
        the check of its entry point says why."""
        found: list[Offer] = []
        for entry in {entry.value: entry for entry in self.registry.entries(kind)}.values():
            try:
                found += self.registry.offers(kind, entry)
            except PluginError:
                continue
        return found


def targets(offer: Offer) -> dict[str, str]:
    """The fields of a record that name code, and what they name."""
    named = {field.name for field in fields(offer) if "Target" in str(field.type)}
    return {name: getattr(offer, name) for name in sorted(named) if getattr(offer, name)}
