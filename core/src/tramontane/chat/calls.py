"""An assistant's message with tool calls, made to fit what a template takes beside them.

Templates differ in what they do with content, reasoning and arguments there, and most do it without
a word; made-up messages show it, rendered once for each template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tramontane.errors import RequestError, TemplateError

from .arguments import PROBE, VALUE, fit_arguments, function_of, wants_objects

Render = Callable[[list[dict[str, Any]], list[dict[str, Any]] | None], str]
"""A chat and its tools, as the template writes them. Raises TemplateError."""

STEPS = 100_000
"""Of one rendering of a made-up message; a real template needs some hundreds."""

NAME = "made_up"
TOOL = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "x",
        "parameters": {
            "type": "object",
            "properties": {"needle": {"type": "string", "description": "x"}},
            "required": ["needle"],
        },
    },
}


@dataclass(frozen=True)
class TakesCalls:
    """objects: arguments as objects, not as texts. empty: the content where there is no text.
    text: a text beside calls does not make it drop the calls. thinking: it does not refuse
    `thinking` beside a text and calls."""

    objects: bool = True
    empty: str | None = ""
    text: bool = True
    thinking: bool = True


def what_it_takes(render: Render) -> TakesCalls:
    """By made-up messages; where no call of them comes through, the form of transformers' pages."""
    for tools in ([TOOL], None):  # one may fail with tools, another without
        found = _by_looking(partial(_written, render, tools))
        if found is not None:
            return found
    return TakesCalls()


def _by_looking(written: Callable[..., str]) -> TakesCalls | None:
    for empty in ("", None):
        with_empty = partial(written, empty)
        objects = wants_objects(with_empty)
        arguments = fit_arguments(PROBE, objects)
        if VALUE in with_empty(arguments):
            break
    else:
        return None
    return TakesCalls(
        objects=objects,
        empty=empty,
        text=VALUE in written("x", arguments),
        thinking=bool(written("x", arguments, thinking="x")) or not written("x", arguments),
    )


def _written(
    render: Render, tools: list[Any] | None, content: str | None, arguments: Any, **more: str
) -> str:
    function = {"name": NAME, "arguments": arguments}
    call = {"id": "call00001", "type": "function", "function": function}
    message = {"role": "assistant", "content": content, **more, "tool_calls": [call]}
    try:
        return render([{"role": "user", "content": "x"}, message], tools)
    except TemplateError:
        return ""


def fit_calls(message: dict[str, Any], takes: TakesCalls) -> list[dict[str, Any]]:
    """The message, changed in place, as the template takes it; two where it drops calls beside a
    text."""
    if message["role"] != "assistant" or "tool_calls" not in message:
        return [message]
    for call in message["tool_calls"]:
        place = function_of(call)
        if place is not None:
            place["arguments"] = fit_arguments(place["arguments"], takes.objects)
    if not message["content"]:
        message["content"] = takes.empty
        return [message]
    if not takes.thinking:
        message.pop("thinking", None)
    if takes.text:
        return [message]
    calls = {"tool_calls": message.pop("tool_calls")}
    return [message, {"role": "assistant", "content": takes.empty, **calls}]


def refuse_unread(messages: list[dict[str, Any]], takes: TakesCalls) -> None:
    """Why a template failed, where it wants objects and an earlier call has none: RequestError."""
    for message in messages if takes.objects else ():
        for call in message.get("tool_calls", ()):
            place = function_of(call)
            if place is not None and not isinstance(place["arguments"], dict):
                raise RequestError(
                    f"an earlier call of {place['name']} has arguments that are not a JSON object,"
                    f" which the model's chat template needs: {place['arguments']!r:.80}"
                )
