"""What goes into the engine and what comes out of it."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tramontane.errors import EngineBusy, ModelLost
from tramontane.sampling_params import SamplingParams

if TYPE_CHECKING:
    from tramontane.adapters.adapter import Applied
    from tramontane.adapters.prompted import Changes, PromptAdapter
    from tramontane.media.item import Media
    from tramontane.sampling.step import Floats, Step

    from .snapshot import Snapshot

RETRY_AFTER = 1.0
"""Seconds after which a refused request may be tried again."""
FinishReason: TypeAlias = Literal["stop", "length", "context", "cancelled", "error"]
"""stop: an end token or stop string. length: max_tokens. context: the context is full."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt to continue. prompt: token ids, special ones included."""

    prompt: tuple[int, ...]
    params: SamplingParams
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    continues: bool = False
    """Whether the output goes on with the prompt's text, so that a space in front of it counts,
    which a SentencePiece vocabulary also writes before a text's first word."""
    score_prompt: bool = False
    """Whether to report the log-probability of every prompt token."""
    prompt_logits: bool = False
    """Whether to return the logits of every prompt token: 4 bytes x tokens x vocabulary."""
    hidden: Callable[[int, Floats], None] | None = field(default=None, compare=False)
    """Told in the engine's thread the first position and the hidden states (rows, hidden) of each
    part of the prompt, behind the last layer and in front of the norm; a part may come twice."""
    priority: int = 0
    """Lower ones go first, and are the last to give way when the cache is full."""
    fork_of: str | None = None
    """Id of a request with the same prompt, submitted before: the prompt is computed once."""
    cache_salt: str = ""
    """Computed prompts are shared only among requests with the same."""
    media: Media | None = None
    """What the prompt's rows stand for that are no tokens' embeddings."""
    adapters: Applied | Changes | PromptAdapter | None = None
    """What the model is changed by while it computes this, or what its prompt decides that by."""
    steps: tuple[Step, ...] = ()
    """Steps of its own, in front of those that its parameters name, greedy or not. They belong to
    this request alone, and may keep what they see."""
    resume: Snapshot | None = None
    """Keys and values of an earlier request; what it shares with the prompt is not computed."""
    keep: bool = False
    """Whether the result carries a snapshot to resume from."""


@dataclass(frozen=True)
class TokenLogprob:
    """A token's natural log-probability, before any sampler, and the most likely others.

    bytes: what it stands for at its place, perhaps a part of a character; text: the same as text,
    where such a part is U+FFFD. top: id, text and log-probability of each; top_bytes: their bytes.
    """

    token: int
    text: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()
    bytes: builtins.bytes = b""
    top_bytes: tuple[builtins.bytes, ...] = ()


@dataclass(frozen=True)
class Usage:
    """Counts of tokens. cached_tokens: of the prompt, those not computed again. forced_tokens: of
    the completion, those of which the grammar left no choice."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    forced_tokens: int = 0
    image_tokens: int = 0
    """Of the prompt, those that stand for images."""
    audio_tokens: int = 0
    """Of the prompt, those that stand for sounds."""
    video_tokens: int = 0
    """Of the prompt, those that stand for videos."""
    drafted_tokens: int = 0
    """Guessed ahead, see `EngineOptions.draft`."""
    accepted_tokens: int = 0
    """Of the completion, those that were guessed, and took no step of their own."""


@dataclass(frozen=True)
class Timings:
    """Seconds: from submission to the first token, in the prompt, in decoding, and before that
    in the queue."""

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
    """What to pass as `seed` to get the same tokens again."""
    stop: str | None = None
    """The stop string that ended it."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None
    """Of the prompt's second token and every later one."""
    prompt_logits: Floats | None = field(default=None, compare=False, repr=False)
    """(prompt tokens, vocabulary) float32: row i is the distribution of token i + 1."""
    snapshot: Snapshot | None = None
    error: str | None = None
    busy: bool = False
    """Whether the error is that there was no room for too long; the same may work later."""
    lost: bool = False
    """Whether the error is, beside `busy`, that the model has to be loaded again."""
    refused: bool = False
    """Whether the error is of what was asked for, such as a grammar that cannot be followed."""

    def check_room(self) -> None:
        """Raises EngineBusy where there was no room, and ModelLost."""
        if self.busy:
            kind = ModelLost if self.lost else EngineBusy
            raise kind(self.error or "", RETRY_AFTER)


class Token(NamedTuple):
    """New text of a running request; empty while a character or stop string is undecided."""

    id: str
    token: int
    text: str
    logprob: TokenLogprob | None = None


@dataclass(frozen=True)
class Finished:
    """The last event of every request. text: what was held back until now."""

    id: str
    text: str
    result: RequestResult


Event: TypeAlias = Token | Finished
