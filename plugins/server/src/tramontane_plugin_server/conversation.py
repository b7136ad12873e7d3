"""Conversations of other APIs in the form of chat templates: roles, texts, calls of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tramontane.chat.messages import has_calls

from .http.errors import ApiError

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

Message = dict[str, Any]


Piece = str | dict[str, Any]
"""A text, or media as a part of a message; see `tramontane.chat.media_parts`."""


def message_of(role: str, pieces: Sequence[Piece]) -> Message:
    """A message; several texts stay apart, for templates that take parts."""
    if len(pieces) == 1 and isinstance(pieces[0], str):
        return {"role": role, "content": pieces[0]}
    parts = [{"type": "text", "text": one} if isinstance(one, str) else one for one in pieces]
    return {"role": role, "content": parts}


def pieces_of(message: Message) -> list[Piece]:
    """What `message_of` made such a message of."""
    content = message["content"]
    if isinstance(content, str):
        return [content]
    return [part["text"] if part["type"] == "text" else part for part in content]


def call(identity: str, name: str, arguments: str) -> Message:
    """A tool's call, to be put among `tool_calls`. arguments: JSON; templates that want an object
    are given one."""
    return {
        "id": identity, "type": "function", "function": {"name": name, "arguments": arguments},
    }  # fmt: skip


def called(identity: str, messages: Sequence[Message]) -> dict[str, str]:
    """The name of the tool that was called under an id, as fields of its result's message."""
    for message in reversed(messages):
        for one in message.get("tool_calls", ()):
            if one["id"] == identity:
                return {"name": one["function"]["name"]}
    return {}


def refuse_lost_calls(model: LoadedModel, messages: Sequence[Mapping[str, Any]]) -> None:
    """A template that has no word for calls would leave them out in silence. Raises ApiError."""
    if has_calls(messages):
        source = model.tool_template_source or ""
        if "tool_calls" not in source:
            raise ApiError(
                400, "the conversation has calls of tools, for which this model's chat template"
                " has no place",
            )  # fmt: skip
