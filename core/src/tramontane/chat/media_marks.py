"""Which kinds of media a chat template has no place for: their marks are given to it as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tramontane.errors import TramontaneError
from tramontane.media.processor import MediaProcessor

from .content import marked
from .media_parts import PLACES
from .template import ChatTemplate


def with_marks(
    messages: Sequence[Mapping[str, Any]],
    template: ChatTemplate,
    processors: Mapping[str, MediaProcessor],
) -> list[Mapping[str, Any]]:
    """The messages with a text for each item that the template would pass over: for all items where
    it takes texts, else for those of kinds that leave no mark in a chat of one such item."""
    contents = [message.get("content") for message in messages]
    kinds = {
        part["type"]
        for content in contents
        if isinstance(content, list)
        for part in content
        if part in PLACES
    }
    marks = {
        kind: processors[kind].mark
        for kind in kinds & processors.keys()
        if not (template.takes.parts and _has_place(template, kind, processors))
    }
    return [marked(message, marks) for message in messages] if marks else list(messages)


def _has_place(template: ChatTemplate, kind: str, processors: Mapping[str, MediaProcessor]) -> bool:
    """Also where it refuses such a chat, which the user is to read."""
    chat = [{"role": "user", "content": [{"type": kind}, {"type": "text", "text": "?"}]}]
    try:
        text = next(iter(processors.values())).rendered(template.render(chat))
    except (TramontaneError, ValueError):
        return True
    return processors[kind].mark in text
