"""Find plugins by name. Names come from metadata; code is imported only when chosen."""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Iterable
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.resources import files
from types import ModuleType
from typing import TypeVar, cast

import pluggy

from . import __version__, hookspecs, plugin
from .errors import (
    PluginBroken,
    PluginConflict,
    PluginError,
    PluginIncompatible,
    PluginNotInstalled,
)

log = logging.getLogger(__name__)

KINDS: dict[str, type[plugin.Offer]] = {
    "architectures": plugin.Architecture,
    "quantizers": plugin.Quantizer,
    "backends": plugin.Backend,
    "samplers": plugin.Sampler,
    "tool_callers": plugin.ToolCaller,
    "mcp_clients": plugin.McpClient,
    "commands": plugin.Command,
    "models": plugin.Model,
}
CORE = "tramontane-core"
O = TypeVar("O", bound=plugin.Offer)  # noqa: E741 - the offer type of a kind


class Registry:
    """All plugins of this process. `only`: distributions allowed to load, or None for all."""

    def __init__(self, only: frozenset[str] | None = None) -> None:
        self.broken: dict[str, PluginError] = {}
        self._only = only
        self._manager = pluggy.PluginManager("tramontane")
        self._manager.add_hookspecs(hookspecs)
        if os.environ.get("TRAMONTANE_TRACE") == "1":
            self._manager.add_hookcall_monitoring(
                lambda name, _impls, kwargs: log.warning("hook %s %s", name, kwargs),
                lambda _outcome, _name, _impls, _kwargs: None,
            )

    @classmethod
    def from_environment(cls) -> Registry:
        """The registry that TRAMONTANE_PLUGINS (distribution names, comma-separated) allows."""
        listed = os.environ.get("TRAMONTANE_PLUGINS")
        if listed is None:
            return cls()
        return cls(frozenset(_canonical(name) for name in listed.split(",") if name.strip()))

    def names(self, kind: str) -> list[str]:
        """Every name offered, without importing anything."""
        return sorted({entry.name for entry in self.entries(kind)})

    def get(self, record: type[O], name: str) -> O:
        """Import the one plugin that advertises `name` and return its offer.

        Raises PluginNotInstalled, PluginConflict, PluginIncompatible or PluginBroken.
        """
        kind = _kind_of(record)
        return cast("O", self.offer(kind, self._choose(kind, name)))

    def all(self, record: type[O]) -> list[O]:
        """Every offer of a kind. A plugin that fails is logged, kept in `broken`, and skipped."""
        found: dict[str, plugin.Offer] = {}
        kind = _kind_of(record)
        for name in self.names(kind):
            try:
                offer = self.get(record, name)
            except PluginError as error:
                if name not in self.broken:
                    log.warning("%s skipped: %s", name, error)
                self.broken[name] = error
            else:
                found[offer.name] = offer
        return cast("list[O]", list(found.values()))

    def offer(self, kind: str, entry: EntryPoint) -> plugin.Offer:
        """The offer behind one entry point."""
        _check_core_version(entry)
        try:
            offers = self._offers(kind, self._load(entry))
        except (Exception, SystemExit) as error:
            raise PluginBroken(f"{label(entry)}: {type(error).__name__}: {error}") from error
        for offer in offers:
            if not isinstance(offer, KINDS[kind]):
                raise PluginBroken(
                    f"{label(entry)}: the hook {kind!r} yields {type(offer).__name__}; "
                    f"it must yield tramontane.plugin.{KINDS[kind].__name__}"
                )
        for offer in offers:
            if entry.name == offer.name or entry.name in offer.aliases:
                return offer
        raise PluginBroken(f"{label(entry)} advertises {entry.name!r} but does not offer it")

    def tell(self, event: str, **details: object) -> None:
        """Tell every loaded plugin; one that raises does not keep the news from the next."""
        for hook in getattr(self._manager.hook, event).get_hookimpls():
            try:
                hook.function(**{name: details[name] for name in hook.argnames})
            except Exception:  # a listener must not take a request down
                log.exception("%s failed in %s", event, hook.plugin_name)

    def entries(self, kind: str) -> list[EntryPoint]:
        """The entry points of a kind, those of distributions not allowed left out."""
        found = entry_points(group=f"tramontane.{kind}")
        if self._only is None:
            return list(found)
        return [e for e in found if e.dist and _canonical(e.dist.name) in self._only]

    def _choose(self, kind: str, name: str) -> EntryPoint:
        match [entry for entry in self.entries(kind) if entry.name == name]:
            case [entry]:
                return entry
            case []:
                raise PluginNotInstalled(self._not_installed(kind, name))
            case several:
                owners = " and ".join(sorted(_owner(entry) for entry in several))
                raise PluginConflict(
                    f"{name!r} ({kind}) comes from {owners}; uninstall one, "
                    "or list the distributions to use in TRAMONTANE_PLUGINS"
                )

    def _not_installed(self, kind: str, name: str) -> str:
        installed = self.names(kind)
        said = f"no installed plugin offers {name!r} ({kind})"
        if distribution := known(kind).get(name):
            if self._only is not None and _canonical(distribution) not in self._only:
                said += f"; {distribution} does, if TRAMONTANE_PLUGINS allows it"
            return f"{said}; to get it: pip install {distribution}"
        close = difflib.get_close_matches(name, installed, 1)
        if close:
            said += f"; did you mean {close[0]!r}?"
        return f"{said}; installed {kind}: {', '.join(installed) or 'none'}"

    def _load(self, entry: EntryPoint) -> ModuleType:
        from .drivers import load_driver

        module = load_driver(entry)
        if not self._manager.is_registered(module):
            try:
                self._manager.register(module, name=entry.value)
                self._manager.check_pending()  # a misspelt hook is an error, not silence
            except Exception:
                self._manager.unregister(name=entry.value)
                raise
        return module

    def _offers(self, kind: str, module: ModuleType) -> list[plugin.Offer]:
        others = self._manager.get_plugins() - {module}
        hook = self._manager.subset_hook_caller(kind, others)
        return [offer for offers in hook() for offer in offers]


def known(kind: str) -> dict[str, str]:
    """Names that our own distributions offer, installed or not, and which of them does."""
    table: dict[str, dict[str, str]] = json.loads(
        files("tramontane").joinpath("known.json").read_text("utf-8")
    )
    return table.get(kind, {})


def label(entry: EntryPoint) -> str:
    """An entry point as messages name it: distribution, version, module."""
    return f"{_owner(entry)} {_distribution(entry).version} ({entry.value})"


def distributions(entries: Iterable[EntryPoint]) -> dict[str, Distribution]:
    """The distributions behind entry points, by name."""
    return {_owner(entry): _distribution(entry) for entry in entries}


def _owner(entry: EntryPoint) -> str:
    return _distribution(entry).name


def _distribution(entry: EntryPoint) -> Distribution:
    if entry.dist is None:
        raise PluginBroken(f"the entry point {entry.name!r} belongs to no distribution")
    return entry.dist


def _kind_of(record: type[plugin.Offer]) -> str:
    return next(kind for kind, known_record in KINDS.items() if known_record is record)


def _canonical(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def _check_core_version(entry: EntryPoint) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in _distribution(entry).requires or ():
        try:
            need = Requirement(line)
        except InvalidRequirement as error:
            raise PluginBroken(f"{label(entry)} requires {line!r}: {error}") from error
        if _canonical(need.name) == CORE and not need.specifier.contains(__version__, True):
            raise PluginIncompatible(
                f"{label(entry)} was written for {CORE}{need.specifier}; this is {__version__}; "
                f"to mend it: pip install -U {_owner(entry)} {CORE}"
            )
