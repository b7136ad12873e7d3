"""Chat messages as they may go into a template: plain data of the right shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tramontane.errors import RequestError

DEEPEST = 64
"""Levels of lists and objects within a message or a tool."""

REASONING = ("reasoning_content", "thinking", "reasoning")
"""The names under which answers carry their reasoning; templates read the first or the second."""


def checked(messages: object) -> list[dict[str, Any]]:
    """The messages, copied into plain dicts and lists, reasoning under the names templates read.

    Raises RequestError, naming the message, where they are not what a chat is made of.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise RequestError(f"messages should be a list, not {type(messages).__name__}")
    if not messages:
        raise RequestError("messages is empty; a chat needs at least one")
    return [_message(message, index) for index, message in enumerate(messages)]


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
    copy: dict[str, Any] = plain(message, where)
    role = copy.get("role")
    if not isinstance(role, str) or not role:
        raise RequestError(f"{where} should have a role, but has {role!r:.40}")
    content = copy.get("content")
    if isinstance(content, list):
        for number, part in enumerate(content):
            _check_part(part, f"{where}, part {number} of its content")
    elif content is not None and not isinstance(content, str):
        kind = type(content).__name__
        raise RequestError(f"{where} ({role}): content should be a text or parts, not {kind}")
    elif content is None and role in ("user", "system"):
        raise RequestError(f"{where} ({role}) has no content")
    reasoning = next((copy[name] for name in REASONING if copy.get(name) is not None), None)
    if reasoning is not None:
        copy = {"thinking": reasoning, **copy, "reasoning_content": reasoning}
    return copy


def _check_part(part: object, where: str) -> None:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise RequestError(f"{where} should be an object with a type, not {part!r:.60}")
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise RequestError(f"{where} should have a text, but has {part.get('text')!r:.40}")
