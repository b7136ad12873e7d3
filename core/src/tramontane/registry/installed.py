"""What is installed, by the metadata of packages alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points

from tramontane.errors import PluginBroken


def allowed() -> frozenset[str] | None:
    """The distributions that TRAMONTANE_PLUGINS (names with commas between them) lets load; None:
    all."""
    listed = os.environ.get("TRAMONTANE_PLUGINS")
    if listed is None:
        return None
    return frozenset(canonical(name) for name in listed.split(",") if name.strip())


def entries_of(kind: str) -> list[EntryPoint]:
    """The entry points of one kind, of distributions that may load: what `Registry.entries` finds,
    without what a registry imports."""
    only = allowed()
    found = entry_points(group=f"tramontane.{kind}")
    return [entry for entry in found if only is None or canonical(owner(entry)) in only]


def distributions(entries: Iterable[EntryPoint]) -> dict[str, Distribution]:
    """The distributions behind entry points, by name."""
    return {owner(entry): distribution_of(entry) for entry in entries}


def owner(entry: EntryPoint) -> str:
    """The name of the distribution that an entry point is of."""
    return _name(distribution_of(entry))


@cache
def _name(distribution: Distribution) -> str:
    # importlib.metadata parses all of a distribution's metadata for each look at its name
    return distribution.name


def distribution_of(entry: EntryPoint) -> Distribution:
    """The distribution that an entry point is of. Raises PluginBroken where there is none."""
    if entry.dist is None:
        raise PluginBroken(f"the entry point {entry.name!r} belongs to no distribution")
    return entry.dist


def canonical(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
