"""Bounds of numbers, written so that the library keeps to them.

Its expression for numbers between an excluded whole number and a bound less than one away has that
number in it, without a point, if that is the bound nearer to zero. An included bound next to it has
not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

NEAREST_ZERO = 1e-30
ULPS = 4
"""Next to a bound, in units of its last place: the library reads numbers to one of them."""
SIDES = (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1))


def without_flags(found: dict[str, Any]) -> None:
    """`exclusiveMinimum: true`, as draft 4 and OpenAPI 3.0 have it, becomes the number."""
    for excluded, bound, _ in SIDES:
        if isinstance(found.get(excluded), bool) and found.pop(excluded) and bound in found:
            found[excluded] = found.pop(bound)


def next_to_whole(found: dict[str, Any], parts: Iterable[Mapping[str, Any]]) -> None:
    """Include the next number instead of excluding a whole one, where another bound is near.

    parts: all schemas of which one may hold beside this one.
    """
    if found.get("type") == "integer":
        return
    for excluded, bound, sign in SIDES:
        whole: Any = found.get(excluded)
        if not _number(whole) or whole != int(whole) or sign * whole < 0:
            continue
        other = "maximum" if sign > 0 else "minimum"
        near = [
            part[key]
            for part in parts
            for key in (other, f"exclusive{other.capitalize()}")
            if _number(part.get(key)) and 0 < sign * (part[key] - whole) < 1
        ]
        if near:
            step = ULPS * math.ulp(float(whole)) if whole else NEAREST_ZERO
            included = whole + sign * step
            if _number(given := found.get(bound)) and sign * (given - included) > 0:
                included = given
            del found[excluded]
            found[bound] = included


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
