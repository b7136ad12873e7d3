"""Reading a step's options: every value is checked where the step is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from tramontane.errors import RequestError

Options: TypeAlias = Mapping[str, Any]


def number(sampler: str, options: Options, name: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`. Raises RequestError that names all of it."""
    value = options[name]
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not math.isfinite(value) or not low <= value <= high:
        raise refusal(sampler, name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def whole(sampler: str, options: Options, name: str, low: int, high: int = 2**31 - 1) -> int:
    """A whole number from `low` to `high`. Raises RequestError that names all of it."""
    value = options[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise refusal(sampler, name, value, f"a whole number from {low} to {high}")
    return value


def refusal(sampler: str, name: str, value: object, allowed: str) -> RequestError:
    """What to raise for an option that is not `allowed`."""
    return RequestError(f"sampler {sampler}: {name}={value!r} must be {allowed}")
