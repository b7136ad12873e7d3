"""Call a plugin's target with as many arguments as it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def call(function: Callable[..., Any], given: Mapping[str, Any], **optional: Any) -> Any:
    """Call a target by position with what every one is given, and by name with those of the
    others that it names."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return function(*given.values())
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return function(*given.values(), **optional)
    if set(given) <= set(parameters) and list(parameters)[: len(given)] != list(given):
        return function(**{k: v for k, v in {**given, **optional}.items() if k in parameters})
    return function(*given.values(), **{k: v for k, v in optional.items() if k in parameters})
