"""What a sampler step sees and returns: the candidates for one next token."""

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
    """Tokens that may come next. ids (n,) distinct, logits (n,); `whole`: ids is 0..vocabulary-1.

    A step returns new candidates, never writes into those that it was given, and copies what it
    keeps of them: `logits` may be memory that the next forward pass writes over.
    """

    ids: Ids
    logits: Floats
    whole: bool = False

    @classmethod
    def of(cls, logits: Floats) -> Candidates:
        """The whole vocabulary."""
        return cls(np.arange(len(logits)), logits, whole=True)

    def keep(self, index: npt.NDArray[np.generic]) -> Candidates:
        """Only those at `index`, positions or a mask. At least one must be left."""
        return Candidates(self.ids[index], self.logits[index])

    def where(self, mask: npt.NDArray[np.bool_]) -> Candidates:
        """Only those for which `mask` holds. At least one must be left."""
        return self if mask.all() else self.keep(np.flatnonzero(mask))

    def with_logits(self, logits: Floats) -> Candidates:
        """The same tokens with other logits."""
        return Candidates(self.ids, logits.astype(np.float32, copy=False), self.whole)

    def positions(self, tokens: Ids) -> npt.NDArray[np.intp]:
        """Where those of `tokens` that are still candidates stand, in no particular order."""
        if self.whole:
            inside = tokens[(tokens >= 0) & (tokens < len(self.ids))]
            return np.unique(inside).astype(np.intp)
        return np.flatnonzero(np.isin(self.ids, tokens))

    def descending(self) -> npt.NDArray[np.intp]:
        """Positions by falling logit; of equal ones the lower id first."""
        return falling(self.logits, self.ids)

    def top(self, count: int) -> npt.NDArray[np.intp]:
        """The first `count` positions of `descending`, but ascending. It sorts next to nothing."""
        return largest(self.logits, self.ids, count)

    def best(self, count: int) -> npt.NDArray[np.intp]:
        """The first `count` positions of `descending`, much faster than sorting them all."""
        top = self.top(count)
        return top[falling(self.logits[top], self.ids[top])]

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, in float64."""
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
    """What a step may know about its request when it is built, once per request."""

    vocab_size: int
    seed: int
    context_length: int
    eos_ids: frozenset[int]
    encode: Callable[[str], list[int]]
    """Text to token ids, without special tokens."""
    decode: Callable[[Sequence[int]], str]
    token_bytes: Callable[[int], bytes] = lambda token: b""
    """The bytes that a token stands for within a text; none for an id beyond the vocabulary."""
    special_ids: frozenset[int] = frozenset()
    """Tokens that are control, never text."""
    leading_spaces: int = 0
    """Spaces that do not count at the start of the output: SentencePiece writes one there."""
    kept: MutableMapping[str, Any] = field(default_factory=dict)
    """What steps keep from request to request of one model, by the sampler's name. Requests are
    built in several threads at once."""


class Step(Protocol):
    """One step of the chain. A step that keeps state (mirostat) is an object of its own request:
    the last of `history.output` tells it what was drawn from the candidates it returned."""

    def __call__(self, candidates: Candidates, history: History) -> Candidates: ...


@runtime_checkable
class Forces(Protocol):
    """What a step may have besides: it knows tokens before any logits do."""

    def forced(self, history: History) -> Sequence[int]:
        """Tokens that must follow the output, one after the other; none where there is a choice.

        History alone decides. Each then goes through the other steps as the only candidate, and
        the first that one before this step forbids ends the row: what follows is drawn.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """What a step may have besides: work for which it needs no logits."""

    def prepare(self, history: History) -> None:
        """Called before the call with this history, in another thread while the model computes.

        What it raises is lost; the call that follows meets the same trouble.
        """
        ...
