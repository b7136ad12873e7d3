"""The interface of sampler steps: the candidates for the next token, and a step's context."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .largest import falling, largest

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """Candidates for the next token. ids (n,) distinct, logits (n,); `whole`: ids is
    0..vocabulary-1.

    A step returns new candidates, never writes to its arguments, and copies what it stores of
    them: `logits` may be memory that the next forward pass overwrites.
    """

    ids: Ids
    logits: Floats
    whole: bool = False

    @classmethod
    def of(cls, logits: Floats) -> Candidates:
        """The complete vocabulary. logits: (vocabulary)."""
        return cls(np.arange(len(logits)), logits, whole=True)

    def keep(self, index: npt.NDArray[np.generic]) -> Candidates:
        """Only those at `index`, positions (k,) or a mask (n,). At least one must remain."""
        return Candidates(self.ids[index], self.logits[index])

    def where(self, mask: npt.NDArray[np.bool_]) -> Candidates:
        """Only the candidates where `mask` (n,) is true. At least one must remain."""
        return self if mask.all() else self.keep(np.flatnonzero(mask))

    def with_logits(self, logits: Floats) -> Candidates:
        """The same tokens with other logits (n,)."""
        return Candidates(self.ids, logits.astype(np.float32, copy=False), self.whole)

    def positions(self, tokens: Ids) -> npt.NDArray[np.intp]:
        """Positions of those `tokens` (k,) that are still candidates, in no particular order."""
        if self.whole:
            inside = tokens[(tokens >= 0) & (tokens < len(self.ids))]
            return np.unique(inside).astype(np.intp)
        return np.flatnonzero(np.isin(self.ids, tokens))

    def descending(self) -> npt.NDArray[np.intp]:
        """Positions (n,) by descending logit; of equal ones the lower id first."""
        return falling(self.logits, self.ids)

    def top(self, count: int) -> npt.NDArray[np.intp]:
        """The first `count` positions of `descending`, in ascending order, without a full sort."""
        return largest(self.logits, self.ids, count)

    def best(self, count: int) -> npt.NDArray[np.intp]:
        """The first `count` positions of `descending`, much faster than sorting them all."""
        top = self.top(count)
        return top[falling(self.logits[top], self.ids[top])]

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, (n,) float64."""
        weights = np.exp(self.logits.astype(np.float64) - float(self.logits.max()))
        return np.asarray(weights / weights.sum(), dtype=np.float64)


@dataclass
class History:
    """The tokens of a sequence so far."""

    prompt: Sequence[int]
    output: list[int]

    def last(self, count: int) -> Ids:
        """The last `count` tokens, output and prompt; all of them if `count` is negative."""
        if count == 0:
            return np.empty(0, np.int64)
        tokens = [*self.prompt, *self.output] if count < 0 else self._tail(count)
        return np.asarray(tokens, np.int64)

    def _tail(self, count: int) -> list[int]:
        missing = count - len(self.output)
        if missing <= 0:
            return self.output[-count:]
        return [*self.prompt[max(0, len(self.prompt) - missing) :], *self.output]


@dataclass(frozen=True)
class SamplerContext:
    """Information about the request and the model for building a step, once per request."""

    vocab_size: int
    seed: int
    context_length: int
    eos_ids: frozenset[int]
    encode: Callable[[str], list[int]]
    """Text to token ids, without special tokens."""
    decode: Callable[[Sequence[int]], str]
    token_bytes: Callable[[int], bytes] = lambda token: b""
    """The bytes of a token within a text; empty for an id outside the vocabulary."""
    special_ids: frozenset[int] = frozenset()
    """Control tokens, which are never text."""
    leading_spaces: int = 0
    """Leading spaces of the output to ignore: SentencePiece adds one there."""
    kept: MutableMapping[str, Any] = field(default_factory=dict)
    """A cache shared by all requests of one model, by the sampler's name. Steps are built in
    several threads at once."""


class Step(Protocol):
    """One step of the chain. A step with state (mirostat) belongs to a single request: the last
    token of `history.output` is the one sampled from the candidates that it returned before."""

    def __call__(self, candidates: Candidates, history: History) -> Candidates: ...


@runtime_checkable
class Forces(Protocol):
    """An optional capability of a step: it determines tokens without logits."""

    def forced(self, history: History) -> Sequence[int]:
        """Tokens that must follow the output, in order; empty if there is a choice.

        Must depend only on the history. Each token is passed through the other steps as the only
        candidate; if a step before this one forbids it, the rest is discarded, and sampled instead.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """An optional capability of a step: work that needs no logits."""

    def prepare(self, history: History) -> None:
        """Called before the step with the same history, in another thread while the model computes.

        Its exceptions are ignored; the step itself is expected to raise the same error.
        """
        ...
