"""The shapes of OpenAI's responses, for the description at /openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from .shapes import Logprob, PromptDetails, Shape


class OutputText(Shape):
    type: Literal["output_text"]
    annotations: list[dict[str, Any]]
    logprobs: list[Logprob]
    text: str


class OutputMessage(Shape):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[OutputText]


class ReasoningText(Shape):
    type: Literal["reasoning_text"]
    text: str


class OutputReasoning(Shape):
    """What the model thought, in its own words."""

    id: str
    type: Literal["reasoning"]
    summary: list[dict[str, Any]]
    content: list[ReasoningText]
    status: Literal["in_progress", "completed", "incomplete"]


class OutputCall(Shape):
    """A call for the client to run. arguments: JSON, or its beginning if incomplete."""

    id: str
    type: Literal["function_call"]
    status: Literal["in_progress", "completed", "incomplete"]
    call_id: str
    name: str
    arguments: str


class BuiltInCall(Shape):
    """A call of a tool of the server's that the request named, and what came of it."""

    model_config = ConfigDict(extra="allow")
    id: str
    type: Literal["web_search_call", "code_interpreter_call"]
    status: Literal["in_progress", "completed", "failed"]


class ResponseError(Shape):
    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class Incomplete(Shape):
    reason: Literal["max_output_tokens"]


class Format(Shape):
    model_config = ConfigDict(extra="allow")
    type: Literal["text", "json_object", "json_schema"]


class Text(Shape):
    format: Format


class Reasoning(Shape):
    effort: str | None
    summary: None


class InputDetails(PromptDetails):
    cache_write_tokens: int


class OutputDetails(Shape):
    reasoning_tokens: int


class ResponseUsage(Shape):
    """Counts of tokens."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseAnswer(Shape):
    """A response in its current state; server_tool_calls: calls that ran in the server."""

    model_config = ConfigDict(extra="allow")
    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    error: ResponseError | None
    incomplete_details: Incomplete | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputMessage | OutputReasoning | OutputCall | BuiltInCall]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    reasoning: Reasoning
    safety_identifier: str | None
    service_tier: str
    store: bool
    temperature: float | None
    text: Text
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None
    user: str | None


class Deleted(Shape):
    id: str
    object: Literal["response"]
    deleted: bool


class InputItem(Shape):
    """A message, a call of a tool, its result, or reasoning, each with its own fields."""

    model_config = ConfigDict(extra="allow")
    id: str
    type: str
    status: str


class InputItems(Shape):
    object: Literal["list"]
    data: list[InputItem]
    first_id: str | None
    last_id: str | None
    has_more: bool
