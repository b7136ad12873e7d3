"""Drafters: what guesses the next tokens of an answer, and how one is named. A model may be one.

A guess costs time when it is wrong and saves time when it is right; what is answered does not
depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tramontane import plugin
from tramontane.errors import PluginNotInstalled, UsageError
from tramontane.plugin import load

if TYPE_CHECKING:
    from tramontane.blocks.next_token import NextTokenHead
    from tramontane.checkpoint.load import Loaded
    from tramontane.registry import Registry
    from tramontane.sampling import History

NONE = "none"
OWN = "mtp"
"""The name of a model's own layer that guesses a token further."""
MOST = 16
"""Tokens that are drafted at once, unless `max` says otherwise."""
LIMIT = 256
"""The largest `max`."""


class Guesses(Protocol):
    """What one request's tokens are guessed by."""

    def propose(self, history: History, n: int) -> Sequence[int]:
        """Up to n tokens that may follow the output, in order; none without a good guess. Called
        with the same history at later times, prompt and output having grown at their end only. It
        reads both and changes neither. A method `end(history)`, if there is one, is called once,
        when the request has ended."""
        ...


class Drafter(Protocol):
    """What `build` of a drafter returns, one for a model. The engine's thread alone calls it."""

    def begin(self) -> Guesses:
        """Called for each request, before its first guess."""
        ...


@dataclass(frozen=True)
class Draft:
    """A drafter as it was asked for. most: tokens drafted at once."""

    offer: plugin.Drafter
    options: Mapping[str, Any]
    most: int = MOST

    def build(self) -> Drafter:
        """Raises UsageError for options that cannot be."""
        drafter: Drafter = load(self.offer.build)(dict(self.options))
        return drafter


@dataclass(frozen=True)
class DraftSource:
    """A model that was asked for as a drafter, by what `-m` would call it."""

    name: str
    most: int = MOST


@dataclass(frozen=True)
class OwnHead:
    """The model's own layer that guesses a token further, as it was asked for."""

    most: int = MOST


@dataclass(frozen=True)
class DraftHead:
    """The same, loaded. most: tokens drafted at once."""

    head: NextTokenHead
    loaded: Loaded
    """The model that it is of."""
    most: int = MOST


@dataclass(frozen=True)
class DraftModel:
    """A model of the same vocabulary, loaded: it answers ahead, and the other checks.

    most: tokens drafted at once.
    """

    name: str
    loaded: Loaded
    most: int = MOST


Drafts: TypeAlias = Draft | DraftModel | DraftHead
"""What an engine's tokens may be guessed by."""


def parse_draft(text: str | Path, registry: Registry) -> Draft | DraftSource | OwnHead | None:
    """From `name` or `name:option=value:...`, where the name is a drafter's, a model's, or "mtp";
    None: no drafts. `max` is an option of all, and the only one of models and mtp.

    Raises UsageError, PluginError.
    """
    text = str(text)
    name, *parts = text.split(":")
    if name == NONE and not parts:
        return None
    if name == OWN:
        if (source := _source(text)).name == OWN:
            return OwnHead(source.most)
        raise UsageError(f"draft {text!r}: mtp takes max={MOST} and nothing else")
    if name not in registry.names("drafters") and _names_model(text, registry):
        return _source(text)
    try:
        offer = registry.get(plugin.Drafter, name)
    except PluginNotInstalled as error:
        hint = "or give a model: a folder, a .gguf file or org/name"
        raise PluginNotInstalled(
            f"draft {text!r}: {error.message}", hint=f"{error.hint}; {hint}" if error.hint else hint
        ) from error
    options, most = dict(offer.options), MOST
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals or (option != "max" and option not in offer.options):
            known = ", ".join(f"{key}={default}" for key, default in offer.options.items())
            raise UsageError(
                f"draft {text!r}: {part!r} is no option=value of {offer.name}; it takes "
                f"{known + ', ' if known else ''}max={MOST}"
            )
        number = _number(text, option, value)
        if option == "max":
            most = _most(text, number)
        else:
            options[option] = number
    return Draft(offer, options, most)


def _names_model(text: str, registry: Registry) -> bool:
    """Whether it looks like a path, a hub id, or an installed model's name."""
    from tramontane.model.source import local_path

    name = _source(text).name
    return "/" in name or name in registry.names("models") or local_path(name) is not None


def _source(text: str) -> DraftSource:
    name, colon, value = text.rpartition(":max=")
    if not colon:
        return DraftSource(text)
    return DraftSource(name, _most(text, _number(text, "max", value)))


def _number(text: str, option: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"draft {text!r}: {option}={value!r} must be a whole number") from None


def _most(text: str, most: int) -> int:
    if not 1 <= most <= LIMIT:
        raise UsageError(f"draft {text!r}: max={most} must be 1 to {LIMIT}")
    return most
