"""Requests, and the events and results that the engine returns for them."""

from __future__ import annotations

import builtins
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tramontane.sampling_params import SamplingParams

if TYPE_CHECKING:
    from .snapshot import Snapshot

FinishReason: TypeAlias = Literal["stop", "length", "context", "cancelled", "error"]
"""stop: an end token or stop string. length: max_tokens. context: the context is full."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt to continue. prompt: token ids, special ones included."""

    prompt: tuple[int, ...]
    params: SamplingParams
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    continues: bool = False
    """Whether the output continues the prompt's text, so that a leading space is part of it. Else
    it is the space that SentencePiece adds before a text's first word, and is dropped."""
    score_prompt: bool = False
    """Whether to report the log-probability of every prompt token."""
    priority: int = 0
    """Lower values are scheduled first, and preempted last when the cache is full."""
    fork_of: str | None = None
    """Id of an earlier request with the same prompt: the prompt is computed once for both."""
    cache_salt: str = ""
    """The prefix cache is shared only among requests with the same salt."""
    resume: Snapshot | None = None
    """Keys and values of an earlier request; a prefix shared with the prompt is not recomputed."""
    keep: bool = False
    """Whether the result has a snapshot to resume from."""


@dataclass(frozen=True)
class TokenLogprob:
    """A token's natural log-probability, before any sampler, and the most likely others.

    bytes: the token's bytes at its position, perhaps a part of a character; text: these decoded,
    U+FFFD for such a part. top: id, text and log-probability of each; top_bytes: their bytes.
    """

    token: int
    text: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()
    bytes: builtins.bytes = b""
    top_bytes: tuple[builtins.bytes, ...] = ()


@dataclass(frozen=True)
class Usage:
    """Token counts. cached_tokens: prompt tokens found in the prefix cache. forced_tokens:
    completion tokens that the grammar determined."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    forced_tokens: int = 0


@dataclass(frozen=True)
class Timings:
    """Seconds: first_token from submission to the first token; prompt and decode computing either;
    queued from submission to the first step."""

    first_token: float
    prompt: float
    decode: float
    queued: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RequestResult:
    """How a request ended."""

    id: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int
    """The seed that reproduces these tokens."""
    stop: str | None = None
    """The stop string that ended the answer."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None
    """One for each prompt token from the second on."""
    snapshot: Snapshot | None = None
    error: str | None = None
    busy: bool = False
    """Whether the error is the queue timeout; the same request may succeed later."""
    refused: bool = False
    """Whether the request itself is invalid, such as a grammar that cannot be satisfied."""


class Token(NamedTuple):
    """New text of a running request; empty while a character or stop string is undecided."""

    id: str
    token: int
    text: str
    logprob: TokenLogprob | None = None


@dataclass(frozen=True)
class Finished:
    """The last event of every request. text: text that was held back until now."""

    id: str
    text: str
    result: RequestResult


Event: TypeAlias = Token | Finished
