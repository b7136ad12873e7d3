"""Chat messages as they may go into a template: plain data of the right shape, one form of each.

What clients write in several ways comes out in one: content is a text or parts, never null; fields
that are null are left out; reasoning has every name that templates read; a tool's result has the
name of the tool; arguments of a call are there. The rules are those of vLLM where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tramontane.errors import RequestError

from .arguments import function_of, is_empty
from .parts import checked_parts

DEEPEST = 64
"""Levels of lists and objects within a message or a tool."""

REASONING = ("reasoning_content", "thinking", "reasoning")
"""The names under which answers carry their reasoning, and templates read it."""

OLDER = "is of an older API; write {} instead"


def checked(messages: object) -> list[dict[str, Any]]:
    """The messages, copied into plain dicts and lists, in the one form that templates are given.

    Raises RequestError, naming the message, where they are not what a chat is made of.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise RequestError(f"messages should be a list, not {type(messages).__name__}")
    if not messages:
        raise RequestError("messages is empty; a chat needs at least one")
    found = [_message(message, index) for index, message in enumerate(messages)]
    _name_results(found)
    return found


def has_calls(messages: object) -> bool:
    """Whether there are calls of tools among messages that nobody has looked at yet."""
    if not isinstance(messages, Sequence):
        return False
    return any(isinstance(message, Mapping) and message.get("tool_calls") for message in messages)


def plain(value: object, where: str, depth: int = 0) -> Any:
    """JSON data, rebuilt, so that a template never meets another type.

    Raises RequestError for anything else.
    """
    if depth > DEEPEST:
        raise RequestError(f"{where} is nested deeper than {DEEPEST} levels")
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise RequestError(f"{where} has the key {key!r:.40}, which is no text")
        return {str.__str__(key): plain(part, where, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, where, depth + 1) for part in value]
    raise RequestError(f"{where} has a {type(value).__name__}; only JSON data can be rendered")


def _message(message: object, index: int) -> dict[str, Any]:
    where = f"message {index}"
    if not isinstance(message, Mapping):
        raise RequestError(f"{where} should be an object, not {type(message).__name__}")
    given: dict[str, Any] = plain(message, where)
    role = given.get("role")
    if not isinstance(role, str) or not role:
        raise RequestError(f"{where} should have a role, but has {role!r:.40}")
    # clients that dump their own objects send every field; to templates null is not absent
    copy = {name: value for name, value in given.items() if value is not None}
    if "function_call" in copy:
        raise RequestError(f"{where}: function_call {OLDER.format('tool_calls')}")
    if role == "function":
        raise RequestError(f"{where}: role 'function' {OLDER.format('role tool, tool_call_id')}")
    if role == "assistant":
        _assistant(copy, where)
    content = copy.get("content")
    if isinstance(content, list):
        copy["content"] = checked_parts(content, role, where)
    elif content is None and role in ("user", "system", "developer"):
        raise RequestError(f"{where} ({role}) has no content")
    elif content is None:
        copy["content"] = ""
    elif not isinstance(content, str):
        kind = type(content).__name__
        raise RequestError(f"{where} ({role}): content should be a text or parts, not {kind}")
    return copy


def _assistant(message: dict[str, Any], where: str) -> None:
    if "refusal" in message and not message.get("content"):
        message["content"] = message.pop("refusal")
    reasoning = next((message[name] for name in REASONING if name in message), None)
    if reasoning is not None:
        if not isinstance(reasoning, str):
            kind = type(reasoning).__name__
            raise RequestError(f"{where} (assistant): reasoning should be a text, not {kind}")
        message.update(dict.fromkeys(REASONING, reasoning))
    calls = message.get("tool_calls", [])
    if not isinstance(calls, list):
        raise RequestError(f"{where}: tool_calls should be a list, not {type(calls).__name__}")
    if not calls:
        message.pop("tool_calls", None)
    for number, call in enumerate(calls):
        place = function_of(call)
        if place is None or not isinstance(place.get("name"), str):
            raise RequestError(
                f"{where}, tool call {number} should be an object with a function that has a name,"
                f" not {call!r:.80}"
            )
        if is_empty(place.get("arguments")):
            place["arguments"] = {}


def _name_results(messages: list[dict[str, Any]]) -> None:
    """Some templates write the tool's name beside its result; the API has the call's id alone."""
    names: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls", ()) if message["role"] == "assistant" else ():
            place = function_of(call)
            if place is not None and isinstance(call.get("id"), str):
                names[call["id"]] = place["name"]
        identity = message.get("tool_call_id")
        if message["role"] == "tool" and isinstance(identity, str) and identity in names:
            message.setdefault("name", names[identity])
