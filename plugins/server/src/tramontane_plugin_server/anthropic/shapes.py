"""The shapes of Anthropic's answers, for the description at /openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

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


class Thinking(Shape):
    """What the model thought; nobody signs it here."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUse(Shape):
    """A tool call for the client to run."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ServerBlock(Shape):
    """A call of a tool of the server's that the request named, or its result."""

    model_config = ConfigDict(extra="allow")
    type: Literal["server_tool_use", "web_search_tool_result", "code_execution_tool_result"]


class Usage(Shape):
    """Counts of tokens; those of the prompt are the sum of the first three."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class Answer(Shape):
    """The answer to a conversation; server_tool_calls: calls that ran in the server."""

    model_config = ConfigDict(extra="allow")
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Text | Thinking | ToolUse | ServerBlock]
    stop_reason: Literal[
        "end_turn", "tool_use", "max_tokens", "stop_sequence", "model_context_window_exceeded"
    ]
    stop_sequence: str | None
    usage: Usage


class Original(Shape):
    """original_input_tokens: before the edits."""

    original_input_tokens: int


class Count(Shape):
    model_config = ConfigDict(json_schema_serialization_defaults_required=False)
    input_tokens: int
    context_management: Original | None = None


class ModelInfo(Shape):
    """A model, as Anthropic has it."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"]
    max_input_tokens: int | None
    max_tokens: int | None


class ModelPage(Shape):
    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None
