"""What `LLM.generate` and `LLM.chat` return."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .engine.request import FinishReason, RequestResult, TokenLogprob, Usage


@dataclass(frozen=True)
class Completion:
    """The answers to one prompt; `n` of them, of which the plain properties show the first."""

    choices: tuple[RequestResult, ...]

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
        first = self.choices[0].usage
        completion = sum(choice.usage.completion_tokens for choice in self.choices)
        return Usage(first.prompt_tokens, completion, first.cached_tokens)


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
