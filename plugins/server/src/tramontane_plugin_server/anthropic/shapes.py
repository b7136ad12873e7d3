"""The shapes of Anthropic's answers, for the description at /openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from tramontane_plugin_server.openai.shapes import ERRORS as OPENAI
from tramontane_plugin_server.openai.shapes import Shape


class ErrorBody(Shape):
    type: str
    message: str


class ErrorAnswer(Shape):
    """An error in Anthropic's form."""

    type: Literal["error"]
    error: ErrorBody


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {**told, "model": ErrorAnswer} for status, told in OPENAI.items()
}


class Text(Shape):
    type: Literal["text"]
    text: str


class Usage(Shape):
    """Counts of tokens; those of the prompt are the sum of the first three."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class Answer(Shape):
    """The answer to a conversation."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Text]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "model_context_window_exceeded"]
    stop_sequence: str | None
    usage: Usage


class Count(Shape):
    input_tokens: int
