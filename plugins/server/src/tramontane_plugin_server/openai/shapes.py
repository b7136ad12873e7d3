"""The shapes of OpenAI's answers, for the description at /openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Every field is sent; null where there is nothing to say."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class ErrorBody(Shape):
    """What went wrong, and what to do about it."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Shape):
    """An error in OpenAI's form."""

    error: ErrorBody


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A field is wrong, or not honoured"},
    401: {"model": ErrorAnswer, "description": "No API key, or a wrong one"},
    404: {"model": ErrorAnswer, "description": "No such model, or nothing of that id"},
    408: {"model": ErrorAnswer, "description": "The body did not arrive in time"},
    413: {"model": ErrorAnswer, "description": "The body is too large"},
    415: {"model": ErrorAnswer, "description": "The body does not say that it is JSON"},
    429: {"model": ErrorAnswer, "description": "Too many wait; Retry-After says when to come"},
    500: {"model": ErrorAnswer, "description": "The server failed"},
    503: {"model": ErrorAnswer, "description": "The model is not loaded, or the server stops"},
    504: {"model": ErrorAnswer, "description": "No answer in time"},
}


class Cached(Shape):
    cached_tokens: int


class Usage(Shape):
    """Counts of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Cached


class TopLogprob(Shape):
    token: str
    logprob: float
    bytes: list[int]


class Logprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class Logprobs(Shape):
    content: list[Logprob]


class AnswerMessage(Shape):
    model_config = ConfigDict(extra="allow")
    role: Literal["assistant"]
    content: str | None


class ChatChoice(Shape):
    index: int
    message: AnswerMessage
    logprobs: Logprobs | None
    finish_reason: str


class ChatCompletion(Shape):
    """The answers to a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class CompletionLogprobs(Shape):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(Shape):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: str


class Completion(Shape):
    """The continuations of prompts."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class Model(Shape):
    """A model, and what may be asked of it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    status: Literal["loaded", "loading", "unloaded"]
    max_model_len: int | None


class Models(Shape):
    object: Literal["list"]
    data: list[Model]
