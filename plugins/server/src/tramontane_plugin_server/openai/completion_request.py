"""The body of POST /v1/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from tramontane.sampling_params import SamplingParams

from .chat_request import StreamOptions
from .fields import NO_EFFECT, STREAM_OPTIONS, Sampling, Stop, TokenId, refuse

MOST_PROMPTS = 64
Tokens = Annotated[list[TokenId], Field(min_length=1)]
P = TypeVar("P")
Several = Annotated[P, Field(min_length=1, max_length=MOST_PROMPTS)]
Prompts = str | Tokens | Several[list[str]] | Several[list[Tokens]]


def _of_one_kind(value: Any) -> Any:
    """Said at once: which of several kinds a mixed list is not would be of no help."""
    if value == []:
        refuse("", "is empty: there is nothing to continue")
    kinds = set(map(type, value)) if isinstance(value, list) else {str}
    if len(kinds) > 1 or not kinds <= {str, int, list}:
        refuse(
            "", "should be a text, token ids, a list of texts, or a list of lists of"
            " token ids; this list mixes kinds, or has others", "invalid_type",
        )  # fmt: skip
    return value


Prompt = Annotated[Prompts, BeforeValidator(_of_one_kind, json_schema_input_type=Prompts)]


class CompletionRequest(Sampling):
    """Texts, or token ids, to continue."""

    model_config = ConfigDict(json_schema_extra={"allOf": [STREAM_OPTIONS]})
    refused: ClassVar[Mapping[str, str]] = {
        "suffix": "models here continue texts; they do not fill gaps",
    }

    prompt: Prompt
    model: str | None = Field(None, max_length=512, description="none, or default: the first")
    max_tokens: int | None = Field(16, ge=0, description="null: until the context is full")
    n: int | None = Field(
        None,
        ge=1,
        le=128,
        description="answers to the same prompt, which share its cache; the server has a limit",
    )
    best_of: int | None = Field(None, ge=1, le=128, description="generate so many, keep n")
    stop: Stop | None = Field(None, description="texts that end the answer and are not part of it")
    echo: bool | None = Field(None, description="the prompt first")
    logprobs: int | None = Field(None, ge=0, le=20, description="of each token and so many others")
    prompt_logprobs: int | None = Field(
        None, ge=0, le=20, description="the same for the prompt's tokens, by token id"
    )
    add_special_tokens: bool | None = Field(None, description="before a text; default true")
    stream: bool | None = Field(None, description="the answer in pieces, as they are made")
    stream_options: StreamOptions | None = Field(
        None, description="`include_usage`: count tokens in the last piece"
    )
    user: str | None = Field(None, description=NO_EFFECT)

    @model_validator(mode="after")
    def _fit(self) -> CompletionRequest:
        if self.stream_options is not None and not self.stream:
            refuse("stream_options", "stream_options is for stream=true")
        if self.stream and self.best_of is not None and self.best_of != (self.n or 1):
            refuse("best_of", "best_of cannot be streamed: what is best is known at the end")
        return self

    def prompts(self) -> list[str | list[int]]:
        """Each of them."""
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
        """How to generate. Raises RequestError."""
        tops = [count for count in (self.logprobs, self.prompt_logprobs) if count is not None]
        return self.params(
            max_tokens=self.max_tokens,
            n=self.n,
            best_of=self.best_of,
            stop=self.stop,
            logprobs=bool(tops) or None,
            top_logprobs=max(tops, default=0) or None,
        )
