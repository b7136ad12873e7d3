"""Options of toolsets, as the owner writes them: NAME.OPTION=VALUE."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tramontane import plugin
from tramontane.errors import UsageError

FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def names_of(given: Iterable[str]) -> list[str]:
    """Names of toolsets, each perhaps several with commas between them, once each."""
    found = [name.strip() for text in given for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(found))


def options_of(
    offers: Sequence[plugin.Toolset], given: Iterable[str] | Mapping[str, Any] = ()
) -> dict[str, dict[str, Any]]:
    """All options of toolsets by their names. given: texts, or values by NAME.OPTION.

    Raises UsageError that names the option, and what there is.
    """
    found: dict[str, dict[str, Any]] = {offer.name: dict(offer.options) for offer in offers}
    for full, value in _pairs(given):
        name, dot, option = full.partition(".")
        if not dot or name not in found:
            raise UsageError(
                f"tool option {full!r:.80} is of no toolset that is turned on: write "
                f"NAME.OPTION=VALUE, with a name of {', '.join(found) or 'none: there are none'}"
            )
        if option not in found[name]:
            close = difflib.get_close_matches(option, found[name], 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(found[name])}"
            raise UsageError(f"the toolset {name} has no option {option!r:.40}; {hint}")
        default = next(offer.options[option] for offer in offers if offer.name == name)
        found[name][option] = _typed(full, value, default)
    return found


def _pairs(given: Iterable[str] | Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return given.items()
    pairs = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"tool option {text!r:.80} should be NAME.OPTION=VALUE")
        pairs.append((name.strip(), value))
    return pairs


def _typed(name: str, value: Any, default: Any) -> Any:
    """A value of its default's type. Raises UsageError."""
    kind = str if default is None else type(default)
    if value is None and default is None:
        return None
    try:
        if kind is bool:
            return value if isinstance(value, bool) else FLAGS[str(value).lower()]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        return str(value) if kind is str else kind(value)
    except (KeyError, ValueError, OverflowError):
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise UsageError(f"tool option {name}: {value!r:.60} should be {words[kind]}") from None
