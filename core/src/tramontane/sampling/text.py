"""The text form of a sampler chain: `top_k:40/top_p:p=0.9/temperature:0.7`."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tramontane.errors import RequestError
from tramontane.plugin import Sampler


def parse_chain(text: str, offers: Sequence[Sampler]) -> list[tuple[Sampler, dict[str, Any]]]:
    """Parse a chain: the samplers in order, each with all of its options.

    chain: entries separated by `/` or white space; empty ones are skipped.
    entry: `name`, `name:value` or `name:option=value:option=value`. Case and the characters `-`
    and `_` of names are ignored, an option may be abbreviated to a unique prefix, and the first
    option may be given without its name. Other options have the offer's defaults.
    """
    entries = [entry for entry in re.split(r"[/\s]+", text) if entry.strip(":")]
    return [_entry(entry, offers) for entry in entries]


def _entry(entry: str, offers: Sequence[Sampler]) -> tuple[Sampler, dict[str, Any]]:
    name, *parts = entry.split(":")
    offer = find_sampler(name, offers)
    given: dict[str, Any] = {}
    for place, part in enumerate(parts):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if equals:
            option = _option(key, offer)
        elif place == 0 and offer.options:
            option, value = next(iter(offer.options)), part
        else:
            raise RequestError(
                f"sampler {entry!r}: {part!r} must be option=value; {_listing(offer)}"
            )
        if option in given:
            raise RequestError(f"sampler {entry!r}: the option {option!r} is given twice")
        given[option] = option_value(offer, option, value)
    return offer, {**offer.options, **given}


def find_sampler(name: str, offers: Sequence[Sampler]) -> Sampler:
    """The offer with this name, ignoring case, `-` and `_`. Raises RequestError if unknown."""
    for offer in offers:
        if plain(name) in map(plain, (offer.name, *offer.aliases)):
            return offer
    names = sorted({spelling for offer in offers for spelling in (offer.name, *offer.aliases)})
    close = difflib.get_close_matches(name.lower(), names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    known = ", ".join(sorted(offer.name for offer in offers)) or "none"
    raise RequestError(f"there is no sampler {name!r}; {hint}installed: {known}")


def plain(name: str) -> str:
    """A name without case, `-` and `_`."""
    return name.lower().replace("-", "").replace("_", "")


def _option(key: str, offer: Sampler) -> str:
    wanted = plain(key)
    for option in offer.options:
        if plain(option) == wanted:
            return option
    match [option for option in offer.options if wanted and plain(option).startswith(wanted)]:
        case [option]:
            return option
        case []:
            raise no_option(offer, key)
        case several:
            raise RequestError(
                f"sampler {offer.name!r}: {key!r} may mean {_quoted(several)}; write more of it"
            )


def no_option(offer: Sampler, key: str) -> RequestError:
    """The error for an unknown option of a sampler."""
    close = difflib.get_close_matches(key.lower(), offer.options, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return RequestError(f"sampler {offer.name!r} has no option {key!r}; {hint}{_listing(offer)}")


def option_value(offer: Sampler, option: str, text: str) -> float | int | str:
    """The value of a text, of the type of the option's default. Raises RequestError."""
    default = offer.options[option]
    if isinstance(default, str) or default is None:
        return text
    is_integer = isinstance(default, int)
    try:
        number = int(text) if is_integer else float(text)
    except ValueError:
        kind = "a whole number" if is_integer else "a number"
        raise RequestError(f"sampler {offer.name!r}: {option}={text!r} must be {kind}") from None
    if not math.isfinite(number):
        raise RequestError(f"sampler {offer.name!r}: {option}={text!r} must be finite")
    return number


def _listing(offer: Sampler) -> str:
    return f"it takes {_quoted(offer.options)}" if offer.options else "it takes no options"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
