"""Options of the command line that installed samplers bring, listed without importing them."""

from __future__ import annotations

import argparse
import re
from importlib.metadata import EntryPoint
from typing import Any

from tramontane.errors import PluginConflict, RequestError, UsageError
from tramontane.registry import FLAGS, Registry

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
DEST = "sampler flag "


def add_sampler_flags(parser: argparse.ArgumentParser, registry: Registry) -> None:
    """Add each plugin's options, under its name. The parser's own go first: one that it has
    already is left out."""
    taken = {text for action in parser._actions for text in action.option_strings}
    flags = _flags(registry)
    groups: dict[str, Any] = {}
    for name, entries in flags.items():
        if f"--{name}" in taken or not NAME.fullmatch(name):
            continue
        owners = [_owner(entry) for entry in entries]
        if owners[0] not in groups:
            about = entries[0].dist.metadata["Summary"] if entries[0].dist else None
            groups[owners[0]] = parser.add_argument_group(owners[0], about)
        clash = f"offered by {' and '.join(owners)}, so not usable" if len(owners) > 1 else None
        groups[owners[0]].add_argument(f"--{name}", dest=DEST + name, metavar="X", help=clash)


def given_flags(options: argparse.Namespace, registry: Registry) -> dict[str, dict[str, Any]]:
    """The options of samplers that were given, as `SamplingParams.extra` has them.

    Raises UsageError for values, PluginError for plugins that do not hold what they advertise.
    """
    from tramontane.sampling.text import option_value

    extra: dict[str, dict[str, Any]] = {}
    for name, entries in _flags(registry).items():
        text = getattr(options, DEST + name, None)
        if text is None:
            continue
        if len(entries) > 1:
            owners = " and ".join(map(_owner, entries))
            raise PluginConflict(
                f"--{name} comes from {owners}; uninstall one, or list the distributions to use in "
                "TRAMONTANE_PLUGINS"
            )
        offer = registry.flag(entries[0])
        option = offer.flags[name]
        try:
            value = option_value(offer, option, text)
        except RequestError as error:
            raise UsageError(f"--{name} {text}: {error}") from error
        extra.setdefault(offer.name, {})[option] = value
    return extra


def _flags(registry: Registry) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(registry.entries(FLAGS), key=lambda entry: (_owner(entry), entry.name)):
        found.setdefault(entry.name, []).append(entry)
    return found


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "no distribution"
