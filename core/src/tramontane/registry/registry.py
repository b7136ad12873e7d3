"""Find plugins by name. Names come from metadata; code is imported only when chosen."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TypeVar, cast

import pluggy

from tramontane import hookspecs, plugin
from tramontane.errors import (
    PluginBroken,
    PluginConflict,
    PluginError,
    PluginIncompatible,
    PluginNotInstalled,
)
from tramontane.version import __version__

from .catalog import known
from .installed import allowed, canonical, distribution_of, owner

log = logging.getLogger(__name__)

KINDS: dict[str, type[plugin.Offer]] = {
    "architectures": plugin.Architecture,
    "quantizers": plugin.Quantizer,
    "backends": plugin.Backend,
    "samplers": plugin.Sampler,
    "tool_callers": plugin.ToolCaller,
    "mcp_clients": plugin.McpClient,
    "toolsets": plugin.Toolset,
    "adapters": plugin.AdapterForm,
    "drafters": plugin.Drafter,
    "interconnects": plugin.Interconnect,
    "commands": plugin.Command,
    "pages": plugin.Page,
    "models": plugin.Model,
}
EVENTS = "events"
"""The entry points of plugins that listen; each is named for the event that it wants to hear."""
FLAGS = "sampler_flags"
"""The entry points of samplers' options of the command line, each named for the option."""
CORE = "tramontane-core"
NO_GPU = "no plugin that is installed, or known here, brings one of that name"
SAME_BUT_A_SLIP = 0.75
"""How alike a device's name must be to be meant: gpu is not cpu."""
MOST_LISTED = 12
"""Names that a message lists; of more it says where they are."""
SPEC_MARK = "tramontane_spec"
"""The attribute that pluggy puts on a hook spec of this project."""
O = TypeVar("O", bound=plugin.Offer)  # noqa: E741 - the offer type of a kind


class Registry:
    """All plugins of this process. `only`: distributions allowed to load, or None for all.

    The installed distributions are read once, when first asked for.
    """

    def __init__(self, only: Iterable[str] | None = None) -> None:
        self.broken: dict[tuple[str, str], PluginError] = {}
        """What was skipped and why, by kind and name."""
        self._only = None if only is None else frozenset(map(canonical, only))
        self._awake: set[str] = set()
        self._manager = pluggy.PluginManager("tramontane")
        self._manager.add_hookspecs(hookspecs)
        if os.environ.get("TRAMONTANE_TRACE") == "1":
            self._manager.add_hookcall_monitoring(_trace, lambda *_: None)

    @classmethod
    def from_environment(cls) -> Registry:
        """The registry that TRAMONTANE_PLUGINS (distribution names, comma-separated) allows."""
        return cls(allowed())

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
                self._skip(kind, name, error)
            else:
                found[offer.name] = offer
        return cast("list[O]", list(found.values()))

    def offer(self, kind: str, entry: EntryPoint) -> plugin.Offer:
        """The offer behind one entry point. Raises PluginIncompatible or PluginBroken."""
        offers = self.offers(kind, entry)
        for offer in offers:
            if entry.name == offer.name or entry.name in offer.aliases:
                if offer.name in self._advertised(kind, entry):
                    return offer
                raise PluginBroken(
                    f"{label(entry)} offers {offer.name!r} ({kind}) without advertising it: "
                    f'its pyproject.toml needs {offer.name} = "{entry.value}" '
                    f'under [project.entry-points."tramontane.{kind}"]'
                )
        offered = ", ".join(offer.name for offer in offers) or "nothing"
        raise PluginBroken(
            f"{label(entry)} advertises {entry.name!r} ({kind}) but does not offer it; "
            f"it offers {offered}"
        )

    def offers(self, kind: str, entry: EntryPoint) -> list[plugin.Offer]:
        """All that the plugin behind an entry point yields for a kind, advertised or not."""
        module = self._load(entry)
        others = self._manager.get_plugins() - {module}
        hook = self._manager.subset_hook_caller(kind, others)
        try:
            found = [offer for offers in hook() for offer in offers]
        except (Exception, SystemExit) as error:
            raise PluginBroken(f"{label(entry)}: {_reason(error)}") from error
        for offer in found:
            _check_record(kind, entry, offer)
        return found

    def tell(self, event: str, **details: object) -> None:
        """Tell every loaded plugin, and those that advertise the event; return values are ignored.

        A listener that raises does not keep the news from the next.
        """
        self._wake(event)
        caller = getattr(self._manager.hook, event)
        for listener in caller.get_hookimpls():
            others = self._manager.get_plugins() - {listener.plugin}
            try:
                self._manager.subset_hook_caller(event, others)(**details)
            except (Exception, SystemExit):  # a listener must not take a request down
                log.exception("%s failed in %s", event, listener.plugin_name)

    def entries(self, kind: str) -> list[EntryPoint]:
        """The entry points of a kind, those of distributions not allowed left out."""
        found = self._installed.get(kind, [])
        if self._only is None:
            return list(found)
        return [entry for entry in found if canonical(owner(entry)) in self._only]

    @cached_property
    def _installed(self) -> dict[str, list[EntryPoint]]:
        # one scan for all kinds: each reads the metadata of every distribution there is
        scan = entry_points()
        return {
            kind: list(scan.select(group=f"tramontane.{kind}")) for kind in (*KINDS, EVENTS, FLAGS)
        }

    def _advertised(self, kind: str, entry: EntryPoint) -> set[str]:
        ours = owner(entry)
        return {other.name for other in self._installed[kind] if owner(other) == ours}

    def _choose(self, kind: str, name: str) -> EntryPoint:
        match [entry for entry in self.entries(kind) if entry.name == name]:
            case [entry]:
                return entry
            case []:
                said, hint = self._not_installed(kind, name)
                raise PluginNotInstalled(said, hint=hint)
            case several:
                owners = " and ".join(sorted({owner(entry) for entry in several}))
                raise PluginConflict(
                    f"{name!r} ({kind}) comes from {owners}; uninstall one, "
                    "or list the distributions to use in TRAMONTANE_PLUGINS"
                )

    def _not_installed(self, kind: str, name: str) -> tuple[str, str]:
        """The message and the hint."""
        said = f"no installed plugin offers {name!r} ({kind})"
        for entry in self._installed.get(kind, []):
            if entry.name == name:
                return said, f"TRAMONTANE_PLUGINS leaves out {owner(entry)}, which offers it"
        ours = known(kind)
        if distribution := ours.get(name):
            return said, f"to get it: pip install {distribution}"
        installed = self.names(kind)
        if kind == "backends":
            listed = ", ".join(["auto", *installed, "reference"])
            near = difflib.get_close_matches(name, installed, 1, SAME_BUT_A_SLIP)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            return f"there is no device {name!r}: {NO_GPU}; devices: {listed}{hint}", ""
        if closest := _nearest(name, {*installed, *ours}):
            said += f"; did you mean {closest!r}?"
        where = "models" if kind == "architectures" else "plugins"
        listed = ", ".join(installed) or "none"
        if len(installed) > MOST_LISTED:
            listed = f"{len(installed)}, which `tramontane {where}` lists"
        return said, f"installed {kind}: {listed}"

    def _load(self, entry: EntryPoint) -> ModuleType:
        """The module of an entry point, checked against the contract."""
        from .entry_points import load_driver

        _check_core_version(entry)
        try:
            module = load_driver(entry)
            if not self._manager.is_registered(module):
                self._register(entry, module)
        except (Exception, SystemExit) as error:
            raise PluginBroken(f"{label(entry)}: {_reason(error)}") from error
        return module

    def _register(self, entry: EntryPoint, module: ModuleType) -> None:
        try:
            self._manager.register(module, name=entry.value)
            self._manager.check_pending()  # a misspelt hook is an error, not silence
        except Exception:
            # pluggy keeps what it has read of a plugin that it refuses
            self._manager.unregister(name=entry.value)
            raise

    def _wake(self, event: str) -> None:
        """Load the plugins that only listen, when there is something to hear for the first time."""
        if event in self._awake:
            return
        self._awake.add(event)
        for entry in self.entries(EVENTS):
            if entry.name == event:
                try:
                    self.listener(entry)
                except PluginError as error:
                    self._skip(EVENTS, event, error)

    def listener(self, entry: EntryPoint) -> ModuleType:
        """The plugin behind an entry point of `tramontane.events`. Raises as `offer` does."""
        module = self._load(entry)
        hook = getattr(self._manager.hook, entry.name, None)
        if hook is None or module not in [found.plugin for found in hook.get_hookimpls()]:
            raise PluginBroken(
                f"{label(entry)} advertises the event {entry.name!r} but does not listen to it"
            )
        return module

    def flag(self, entry: EntryPoint) -> plugin.Sampler:
        """The sampler that an entry point of `tramontane.sampler_flags` is for. Raises as `offer`
        does."""
        for offer in cast("list[plugin.Sampler]", self.offers("samplers", entry)):
            if entry.name in offer.flags:
                if (option := offer.flags[entry.name]) not in offer.options:
                    raise PluginBroken(
                        f"{label(entry)}: the flag --{entry.name} sets {option!r}, which is no "
                        f"option of the sampler {offer.name!r}"
                    )
                return offer
        raise PluginBroken(
            f"{label(entry)} advertises the flag --{entry.name} but no sampler offers it"
        )

    def _skip(self, kind: str, name: str, error: PluginError) -> None:
        if (kind, name) not in self.broken:
            log.warning("%s (%s) skipped: %s", name, kind, error)
        self.broken[kind, name] = error


def label(entry: EntryPoint) -> str:
    """An entry point as messages name it: distribution, version, module."""
    return f"{owner(entry)} {distribution_of(entry).version} ({entry.value})"


def _kind_of(record: type[plugin.Offer]) -> str:
    return next(kind for kind, known_record in KINDS.items() if known_record is record)


def _trace(name: str, _impls: object, arguments: object) -> None:
    log.warning("hook %s %s", name, arguments)


def _reason(error: BaseException) -> str:
    """An exception in one line; pluggy's span several."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    if not isinstance(error, pluggy.PluginValidationError):
        return said
    specs = [name for name, spec in vars(hookspecs).items() if hasattr(spec, SPEC_MARK)]
    if found := re.search(r"unknown hook '(\w+)'", said):
        close = difflib.get_close_matches(found[1], specs, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"the hooks are {', '.join(specs)}"
        return f"unknown hook {found[1]!r}; {hint}"
    if found := re.search(r"for hook '(\w+)'.*Argument\(s\) \{(.*?)\}", said):
        return f"the hook {found[1]!r} has no argument {found[2]}"
    return said


def _check_record(kind: str, entry: EntryPoint, offer: object) -> None:
    record = KINDS[kind]
    if not isinstance(offer, record):
        raise PluginBroken(
            f"{label(entry)}: the hook {kind!r} yields {type(offer).__name__}; "
            f"it must yield tramontane.plugin.{record.__name__}"
        )
    if not isinstance(offer.aliases, tuple):  # a plain string would be searched letter by letter
        raise PluginBroken(
            f"{label(entry)}: aliases of {offer.name!r} must be a tuple, not {offer.aliases!r}"
        )


def _check_core_version(entry: EntryPoint) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in distribution_of(entry).requires or ():
        try:
            need = Requirement(line)
        except InvalidRequirement as error:
            raise PluginBroken(f"{label(entry)} requires {line!r}: {error}") from error
        if canonical(need.name) != CORE or not (need.marker is None or need.marker.evaluate()):
            continue
        if not need.specifier.contains(__version__, True):
            raise PluginIncompatible(
                f"{label(entry)} was written for {CORE}{need.specifier}; this is {__version__}; "
                f"to fix it: pip install -U {owner(entry)} {CORE}"
            )


def _nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most like another; what all classes of models end in makes none alike."""
    suffix, folded = "forcausallm", name.lower()
    same = folded.endswith(suffix)

    def likeness(each: str) -> tuple[bool, float]:
        """Of two names of one stem the one of the same kind, then of the same case."""
        return each.lower().endswith(suffix) == same, difflib.SequenceMatcher(
            None, name, each
        ).ratio()

    stems = {each.lower().removesuffix(suffix): each for each in sorted(names, key=likeness)}
    close = difflib.get_close_matches(folded.removesuffix(suffix), stems, 1)
    return stems[close[0]] if close else None
