"""Arguments of past tool calls: the API has them as JSON in a text, some templates want the object.

A template that turns them into JSON itself would quote the text once more, and one that writes
objects in a syntax of its own would put the text into that. Which it is shows when a made-up call
is rendered, as templates say it in too many ways to read it off them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Written = Callable[[Any], str]
"""A made-up call with these arguments as the template writes it; empty where it fails."""

VALUE = "thread"
PROBE = f'{{"needle": "{VALUE} é"}}'


def function_of(call: Any) -> dict[str, Any] | None:
    """The object of a call in which the name and "arguments" are."""
    place = call.get("function", call) if isinstance(call, dict) else None
    return place if isinstance(place, dict) else None


def is_empty(arguments: Any) -> bool:
    """Whether a call has none: null, or a text with nothing or null in it."""
    return arguments is None or (isinstance(arguments, str) and arguments.strip() in ("", "null"))


def wants_objects(written: Written) -> bool:
    """Whether arguments go in as an object.

    A text is as good where both come out as the same JSON, and keeps the spelling that the model
    chose, so that what it wrote is found in the prefix cache. It is the only choice where an
    object fails, or comes out as Python would write it.
    """
    given = json.loads(PROBE)
    as_object, as_text = written(given), written(PROBE)
    if VALUE not in as_object or str(given) in as_object:
        return False
    return not (PROBE in as_object and PROBE in as_text)


def fit_arguments(arguments: Any, objects: bool) -> Any:
    """As an object or as a text; a text that is no JSON object stays as it is."""
    if objects and isinstance(arguments, str):
        try:
            value = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
        return value if isinstance(value, dict) else arguments
    if not objects and not isinstance(arguments, str):
        return json.dumps(arguments, ensure_ascii=False)
    return arguments
