"""The body of POST /v1/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from tramontane.sampling_params import SamplingParams

from .chat_request import StreamOptions
from .fields import NO_EFFECT, STREAM_OPTIONS, Sampling, Stop, TokenId, refuse

MAX_PROMPTS = 64
Tokens = Annotated[list[TokenId], Field(min_length=1)]
P = TypeVar("P")
Several = Annotated[P, Field(min_length=1, max_length=MAX_PROMPTS)]
Prompts = str | Tokens | Several[list[str]] | Several[list[Tokens]]


def _of_one_kind(value: Any) -> Any:
    """One error for all kinds: pydantic's would list each kind that does not match."""
    if value == []:
        refuse("", "is empty: there is no text to continue")
    kinds = set(map(type, value)) if isinstance(value, list) else {str}
    if len(kinds) > 1 or not kinds <= {str, int, list}:
        refuse(
            "", "should be a string, a list of token ids, a list of strings, or a list"
            " of lists of token ids", "invalid_type",
        )  # fmt: skip
    return value


Prompt = Annotated[Prompts, BeforeValidator(_of_one_kind, json_schema_input_type=Prompts)]


class CompletionRequest(Sampling):
    """Texts, or token ids, to continue."""

    model_config = ConfigDict(json_schema_extra={"allOf": [STREAM_OPTIONS]})
    refused: ClassVar[Mapping[str, str]] = {
        "suffix": "fill-in-the-middle is not available",
    }

    prompt: Prompt
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    max_tokens: int | None = Field(16, ge=0, description="null: until the context is full")
    n: int | None = Field(
        None,
        ge=1,
        le=128,
        description="number of answers, which share the prompt's cache; the server limits it",
    )
    best_of: int | None = Field(
        None, ge=1, le=128, description="generate this many answers and return the n best"
    )
    stop: Stop | None = Field(
        None, description="strings that end the answer and are not part of it"
    )
    echo: bool | None = Field(None, description="return the prompt before the answer")
    logprobs: int | None = Field(
        None,
        ge=0,
        le=20,
        description="return the log-probabilities of each token and this many others",
    )
    prompt_logprobs: int | None = Field(
        None, ge=0, le=20, description="the same for the tokens of the prompt, by token id"
    )
    add_special_tokens: bool | None = Field(
        None, description="add special tokens before the prompt; default: true"
    )
    stream: bool | None = Field(
        None, description="send the answer as server-sent events while it is generated"
    )
    stream_options: StreamOptions | None = Field(
        None, description="`include_usage`: token counts in the last event"
    )
    user: str | None = Field(None, description=NO_EFFECT)

    @model_validator(mode="after")
    def _fit(self) -> CompletionRequest:
        if self.stream_options is not None and not self.stream:
            refuse("stream_options", "stream_options requires stream=true")
        if self.stream and self.best_of is not None and self.best_of != (self.n or 1):
            refuse("best_of", "best_of cannot be streamed: the best answer is known at the end")
        return self

    def prompts(self) -> list[str | list[int]]:
        """The prompts as a list."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)

    @property
    def scores_prompt(self) -> bool:
        """Whether probabilities of the prompt's tokens are wanted."""
        return self.prompt_logprobs is not None or bool(self.echo and self.logprobs is not None)

    def sampling(self) -> SamplingParams:
        """The sampling parameters. Raises RequestError."""
        tops = [count for count in (self.logprobs, self.prompt_logprobs) if count is not None]
        return self.params(
            max_tokens=self.max_tokens,
            n=self.n,
            best_of=self.best_of,
            stop=self.stop,
            logprobs=bool(tops) or None,
            top_logprobs=max(tops, default=0) or None,
        )
