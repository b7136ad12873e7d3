"""What `LLM.generate` and `LLM.chat` return."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .answers import Answer, Delta
from .engine.request import FinishReason, RequestResult, TokenLogprob, Usage
from .errors import RequestError
from .grammar import read_value
from .tools import ToolCall


@dataclass(frozen=True)
class Completion:
    """The answers to one prompt; `n` of them, of which the plain properties show the first."""

    choices: tuple[RequestResult, ...]
    schema: Mapping[str, Any] | type[Any] | None = None
    """What the answers were asked to be."""
    answers: tuple[Answer, ...] = ()
    """For a chat, the parsed texts of the choices: content, reasoning, tool calls."""
    added: tuple[Mapping[str, Any], ...] = ()
    """Messages that rounds of tools put between the question and this answer."""

    @property
    def content(self) -> str:
        """The first answer's text, without reasoning and tool calls."""
        return self.answers[0].content if self.answers else self.text

    @property
    def reasoning(self) -> str:
        return self.answers[0].reasoning if self.answers else ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of the first answer that are whole."""
        return self.answers[0].calls if self.answers else []

    @property
    def parsed(self) -> Any:
        """The value of the first answer: JSON data under a schema, or the model's instance.

        Raises RequestError where the answer was cut off, or no schema was given.
        """
        return self.value(0)

    def value(self, index: int) -> Any:
        """`parsed` of one of several answers."""
        if self.schema is None:
            raise RequestError("no schema was given: pass schema= to get a value")
        choice = self.choices[index]
        if choice.finish_reason in ("length", "context", "cancelled"):
            raise RequestError(
                f"the answer was truncated after {choice.usage.completion_tokens} tokens "
                f"(finish_reason={choice.finish_reason!r}), so its value is not complete; "
                "its text is available, and a larger max_tokens may complete it"
            )
        if not self.answers:
            return read_value(choice.text, self.schema)
        answer = self.answers[index]
        if answer.calls and not answer.content:
            raise RequestError(
                f"the answer is a call of {answer.calls[0].name}, not a value: see tool_calls"
            )
        return read_value(answer.content, self.schema)

    @property
    def text(self) -> str:
        return self.choices[0].text

    @property
    def token_ids(self) -> tuple[int, ...]:
        return self.choices[0].token_ids

    @property
    def finish_reason(self) -> FinishReason:
        return self.choices[0].finish_reason

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...] | None:
        return self.choices[0].logprobs

    @property
    def usage(self) -> Usage:
        """Tokens of the prompt, and of all choices together."""
        each = [choice.usage for choice in self.choices]
        return replace(
            each[0],
            completion_tokens=sum(one.completion_tokens for one in each),
            forced_tokens=sum(one.forced_tokens for one in each),
            drafted_tokens=sum(one.drafted_tokens for one in each),
            accepted_tokens=sum(one.accepted_tokens for one in each),
        )


def best(results: Sequence[RequestResult], count: int) -> tuple[RequestResult, ...]:
    """The `count` results whose tokens were likeliest on average, the likeliest first; in the
    order given if that is all of them."""
    if count == len(results):
        return tuple(results)
    return tuple(sorted(results, key=_mean_logprob, reverse=True)[:count])


def _mean_logprob(result: RequestResult) -> float:
    entries = result.logprobs or ()
    return sum(entry.logprob for entry in entries) / len(entries) if entries else -math.inf


@dataclass(frozen=True)
class Chunk:
    """New text of one choice. result: set in a choice's last chunk."""

    text: str
    index: int = 0
    token: int | None = None
    logprob: TokenLogprob | None = None
    result: RequestResult | None = None
    deltas: tuple[Delta, ...] = ()
    """For a chat, the text parsed into content, reasoning and calls, as far as it is known."""
