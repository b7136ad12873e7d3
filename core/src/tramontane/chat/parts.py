"""Content as parts: pieces of text, and of reasoning in an assistant's."""

from __future__ import annotations

from typing import Any

from tramontane.errors import RequestError

from .media_parts import PLACES

TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""Types of parts that are text, and where the text is."""


def checked_parts(parts: list[Any], role: str, where: str) -> list[dict[str, Any]]:
    """The parts, those of text as `{"type": "text", "text": ...}`, whichever API they are of.

    An assistant's may also be `{"type": "thinking", "thinking": ...}`.
    Raises RequestError for what is no part, and for images and other things that are no text.
    """
    return [_part(part, role, where, number) for number, part in enumerate(parts)]


def joined(parts: list[dict[str, Any]]) -> str:
    """The texts, a line each."""
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


def thoughts(parts: list[dict[str, Any]]) -> str:
    """The reasoning among the parts."""
    return "\n".join(part["thinking"] for part in parts if part["type"] == "thinking")


def _part(part: Any, role: str, where: str, number: int) -> dict[str, Any]:
    place = f"{where}, part {number} of its content"
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise RequestError(f"{place} should be an object with a type, not {part!r:.60}")
    kind = part["type"]
    if part in PLACES:
        return dict(part)
    if kind == "thinking" and role == "assistant":
        return {**part, "thinking": _thinking(part.get("thinking"), place)}
    if kind not in TEXTS:
        raise RequestError(
            f"{where} has a part of type {kind!r:.40}, but parts are text, or media that the model "
            "takes: leave it out, or describe it in words"
        )
    text = part.get(TEXTS[kind])
    if not isinstance(text, str):
        raise RequestError(f"{place} should have a text, but has {text!r:.40}")
    return part if kind == "text" else {"type": "text", "text": text}


def _thinking(value: Any, place: str) -> str:
    """A text, or a list of parts with texts, as Mistral's API has it."""
    if isinstance(value, list):
        return joined([_part(part, "", place, number) for number, part in enumerate(value)])
    if not isinstance(value, str):
        raise RequestError(f"{place} should have its thinking as a text, but has {value!r:.40}")
    return value
