"""The shapes of OpenAI's answers, for the description at /openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """An answer; every field is sent, null if it has no value."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class ErrorBody(Shape):
    """The error and the way out."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Shape):
    """An error in OpenAI's form."""

    error: ErrorBody


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "A field is invalid or not supported"},
    401: {"model": ErrorAnswer, "description": "The API key is missing or invalid"},
    404: {"model": ErrorAnswer, "description": "There is no such model, or no object of that id"},
    408: {"model": ErrorAnswer, "description": "The body did not arrive in time"},
    413: {"model": ErrorAnswer, "description": "The body is too large"},
    415: {"model": ErrorAnswer, "description": "The content type is not JSON"},
    429: {
        "model": ErrorAnswer,
        "description": "Too many requests are waiting; retry after the seconds in Retry-After",
    },
    500: {"model": ErrorAnswer, "description": "The server failed"},
    503: {
        "model": ErrorAnswer,
        "description": "The model is not loaded, or the server is stopping",
    },
    504: {"model": ErrorAnswer, "description": "The answer took too long"},
}


class PromptDetails(Shape):
    """Of a prompt's tokens, those that were cached, and those that stand for media, if any do."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    cached_tokens: int
    image_tokens: int = 0
    audio_tokens: int = 0
    video_tokens: int = 0


class CompletionDetails(Shape):
    """Guesses of a drafter: tokens of the answer, and tokens that did not come."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(Shape):
    """Counts of tokens. completion_tokens_details: where tokens were guessed ahead."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails | None = None


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
    """A model of this server."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    """Of an adapter: its model."""
    status: Literal["loaded", "loading", "unloaded"]
    max_model_len: int | None
    tasks: list[str] | None
    """What it can do: text, embed, rank, transcribe, image, speech; null until it is loaded."""
    input_modalities: list[str] | None
    """What a chat with it may have: text, image, audio, video; null until it is loaded."""


class Models(Shape):
    object: Literal["list"]
    data: list[Model]
