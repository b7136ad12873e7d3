"""The distribution under test, and what it brings."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from tramontane.errors import PluginError
from tramontane.plugin import Offer, load
from tramontane.registry import EVENTS, KINDS, Registry, canonical


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
            raise PluginError(f"no distribution {name!r} is installed here{_hint(name)}") from error
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

    def files(self) -> list[Path]:
        """The files and folders of its plugins."""
        found = []
        for module in self.modules():
            try:
                spec = find_spec(module.partition(".")[0])
            except (ImportError, ValueError):
                continue
            if spec is not None:
                places = spec.submodule_search_locations or [spec.origin or ""]
                found += [Path(place) for place in places]
        return found

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


def _hint(name: str) -> str:
    """The installed plugin with the nearest name, or with that end of its name."""
    entries = [entry for kind in (*KINDS, EVENTS) for entry in Registry().entries(kind)]
    there = sorted({entry.dist.name for entry in entries if entry.dist})
    ending = [each for each in there if each.endswith(f"-{canonical(name)}")]
    close = ending or difflib.get_close_matches(canonical(name), there, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def unresolved(offer: Offer) -> list[str]:
    """What is wrong with each target that names nothing: the offer, the field, and the nearest."""
    found = []
    for field, target in targets(offer).items():
        try:
            load(target)
        except (AttributeError, ImportError, ValueError) as error:
            if not _misspelt(target, error):
                raise
            found.append(f"{offer.name}: {field}={target!r} names nothing: {error}{_near(target)}")
    return found


def _misspelt(target: str, error: Exception) -> bool:
    """Whether a target itself does not exist; what its module raises when imported is another
    error."""
    if isinstance(error, ModuleNotFoundError):
        return error.name is not None and f"{target.partition(':')[0]}.".startswith(
            f"{error.name}."
        )
    module = sys.modules.get(target.partition(":")[0])
    return isinstance(error, ValueError) or module is not None


def _near(target: str) -> str:
    module, _, name = target.partition(":")
    there = [each for each in vars(sys.modules.get(module, object)) if not each.startswith("_")]
    close = difflib.get_close_matches(name, there, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def targets(offer: Offer) -> dict[str, str]:
    """The fields of a record that name code, and what they name."""
    named = sorted(field.name for field in fields(offer) if "Target" in str(field.type))
    found: dict[str, str] = {}
    for name in named:
        value = getattr(offer, name)
        if isinstance(value, Mapping):  # targets by name
            found |= {f"{name}[{key!r}]": target for key, target in value.items()}
        elif value:
            found[name] = value
    return found
