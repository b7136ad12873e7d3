"""Drafters: what guesses the next tokens of an answer, and how one is named.

A guess costs time when it is wrong and saves time when it is right; what is answered does not
depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tramontane import plugin
from tramontane.errors import UsageError
from tramontane.plugin import load

if TYPE_CHECKING:
    from tramontane.registry import Registry
    from tramontane.sampling import History

NONE = "none"
MOST = 16
"""Tokens that are drafted at once, unless `max` says otherwise."""
LIMIT = 256
"""The largest `max`."""


class Guesses(Protocol):
    """What one request's tokens are guessed by."""

    def propose(self, history: History, n: int) -> Sequence[int]:
        """Up to n tokens that may follow the output, in order; none without a good guess. Called
        with the same history at later times, prompt and output having grown at their end only. It
        reads both and changes neither."""
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


def parse_draft(text: str, registry: Registry) -> Draft | None:
    """From `name` or `name:option=value:...`; None: no drafts. `max` is an option of all.

    Raises UsageError, PluginError.
    """
    name, *parts = text.split(":")
    if name == NONE and not parts:
        return None
    offer = registry.get(plugin.Drafter, name)
    options, most = dict(offer.options), MOST
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals or (option != "max" and option not in offer.options):
            known = ", ".join(f"{key}={default}" for key, default in offer.options.items())
            raise UsageError(
                f"draft {text!r}: {part!r} is no option=value of {offer.name}; it takes "
                f"{known + ', ' if known else ''}max={MOST}"
            )
        try:
            number = int(value)
        except ValueError:
            raise UsageError(f"draft {text!r}: {option}={value!r} must be a whole number") from None
        if option == "max":
            most = number
        else:
            options[option] = number
    if not 1 <= most <= LIMIT:
        raise UsageError(f"draft {text!r}: max={most} must be 1 to {LIMIT}")
    return Draft(offer, options, most)
