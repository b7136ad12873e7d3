"""Options that Python code gives: each is looked at before anything is loaded.

A table has a check for every option of a class or function; an option without one is a KeyError in
every test. Ranges are those of the commands' options.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from .errors import RequestError


@dataclass(frozen=True)
class Check:
    """allowed: in words, behind "should be". fits: whether a value is. none: whether None is
    too."""

    allowed: str
    fits: Callable[[Any], bool]
    none: bool = False


Checks: TypeAlias = Mapping[str, Check]


def check_options(given: Mapping[str, Any], checks: Checks) -> None:
    """Raises RequestError for the first value that cannot be, with its name and what can."""
    for name, value in given.items():
        check = checks[name]
        if not (value is None and check.none) and not check.fits(value):
            none = ", or None" if check.none else ""
            raise RequestError(f"{name} should be {check.allowed}{none}, not {value!r:.60}")


def whole(least: int = 1, most: int = 2**53, *, none: bool = False) -> Check:
    """A whole number."""

    def fits(value: Any) -> bool:
        return _is_whole(value) and least <= int(value) <= most

    limit = f"from {least} on" if most == 2**53 else f"from {least} to {most:,}"
    return Check(f"a whole number {limit}", fits, none)


def count_or(*names: str) -> Check:
    """A whole number from 0 on, as a text or not, or one of a few texts; or None."""

    def fits(value: Any) -> bool:
        if isinstance(value, str):
            return value in names or (value.isascii() and value.isdigit())
        return _is_whole(value) and value >= 0

    return Check(f"a whole number from 0 on, {' or '.join(names)}", fits, True)


def seconds(*, none: bool = False) -> Check:
    """A number from 0 on."""
    return Check("a number of seconds from 0 on", lambda v: _is_number(v) and v >= 0, none)


def above_zero(*, none: bool = False) -> Check:
    """A number above 0."""
    return Check("a number above 0", lambda v: _is_number(v) and v > 0, none)


def a_number(least: float, most: float, *, none: bool = False) -> Check:
    """A number within a range."""
    return Check(
        f"a number from {least:g} to {most:g}",
        lambda v: _is_number(v) and least <= v <= most,
        none,
    )


def a_text(what: str = "a text", *, none: bool = False) -> Check:
    """A text that is not empty."""
    return Check(what, _is_text, none)


def a_path(what: str = "a path", *, none: bool = False) -> Check:
    """A path, as a text or not."""
    return Check(what, lambda v: isinstance(v, Path) or _is_text(v), none)


def one_of(*names: str) -> Check:
    """One of a few texts."""
    return Check(f"one of {', '.join(names)}", lambda v: isinstance(v, str) and v in names)


def instance(*kinds: type, what: str, none: bool = False) -> Check:
    """Of certain classes."""
    return Check(what, lambda v: isinstance(v, kinds), none)


def function(what: str, *, none: bool = False) -> Check:
    """Something to call."""
    return Check(what, callable, none)


def by_name(what: str) -> Check:
    """A mapping whose keys are texts."""
    return Check(what, lambda v: isinstance(v, Mapping) and all(map(_is_text, v)))


def bits(*, none: bool = True) -> Check:
    """A kind of quantization by name, or a number of bits."""

    def fits(value: Any) -> bool:
        return _is_text(value) or (_is_whole(value) and 2 <= int(value) <= 8)

    return Check("a kind such as 'q4_k', or 2 to 8 bits", fits, none)


FLAG = Check("True or False", lambda v: isinstance(v, bool))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
