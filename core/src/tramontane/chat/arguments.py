"""Arguments of past tool calls: the API has them as JSON in a text, some templates want the object.

A template that turns them into JSON itself would quote the text once more. Which it is shows when
a made-up call is rendered, as templates say it in too many ways to read it off them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tramontane.errors import TemplateError

Render = Callable[[list[dict[str, Any]]], str]

PROBE = '{"needle": "thread"}'


def has_text_arguments(chat: list[dict[str, Any]]) -> bool:
    return any(isinstance(place["arguments"], str) for place in _places(chat))


def wants_objects(render: Render) -> bool:
    """Whether a text of arguments does not come through as it is, but an object comes through."""
    return PROBE not in _written(render, PROBE) and "needle" in _written(render, json.loads(PROBE))


def with_objects(chat: list[dict[str, Any]]) -> None:
    """Reads the arguments, in place; a text that is no JSON object stays as it is."""
    for place in _places(chat):
        if isinstance(place["arguments"], str):
            try:
                value = json.loads(place["arguments"])
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                place["arguments"] = value


def _places(chat: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects in which "arguments" is."""
    found = []
    for message in chat:
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            place = call.get("function", call) if isinstance(call, dict) else None
            if isinstance(place, dict) and "arguments" in place:
                found.append(place)
    return found


def _written(render: Render, arguments: Any) -> str:
    function = {"name": "made_up", "arguments": arguments}
    call = {"id": "call00001", "type": "function", "function": function}
    try:
        return render(
            [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
            ]
        )
    except TemplateError:
        return ""
