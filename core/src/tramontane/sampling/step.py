"""What a sampler step is called with and returns: the candidates for the next token."""

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
    """Tokens that may come next: ids (n) int64, distinct, and logits (n) float32, in the same
    order, which need not be sorted. whole: whether ids is 0, 1, ..., vocabulary - 1.

    A step returns new candidates and never writes into those that it was given. What it retains for
    a later call it copies: `logits` may be memory that the next forward pass overwrites.
    """

    ids: Ids
    logits: Floats
    whole: bool = False

    @classmethod
    def of(cls, logits: Floats) -> Candidates:
        """All tokens of the vocabulary. logits: (vocabulary) float32."""
        return cls(np.arange(len(logits)), logits, whole=True)

    def keep(self, index: npt.NDArray[np.generic]) -> Candidates:
        """Those at `index`, positions (m) or a mask (n), in its order. One at least must remain."""
        return Candidates(self.ids[index], self.logits[index])

    def where(self, mask: npt.NDArray[np.bool_]) -> Candidates:
        """Those for which `mask` (n) is true. One at least must remain."""
        return self if mask.all() else self.keep(np.flatnonzero(mask))

    def with_logits(self, logits: Floats) -> Candidates:
        """The same tokens with other logits (n), converted to float32. -inf forbids a token."""
        return Candidates(self.ids, logits.astype(np.float32, copy=False), self.whole)

    def positions(self, tokens: Ids) -> npt.NDArray[np.intp]:
        """Positions in ids of those of `tokens` (m) that are still candidates, in no given
        order."""
        if self.whole:
            inside = tokens[(tokens >= 0) & (tokens < len(self.ids))]
            return np.unique(inside).astype(np.intp)
        return np.flatnonzero(np.isin(self.ids, tokens))

    def descending(self) -> npt.NDArray[np.intp]:
        """Positions (n) by falling logit; of equal ones the lower id first. It sorts them all."""
        return falling(self.logits, self.ids)

    def top(self, count: int) -> npt.NDArray[np.intp]:
        """The first `count` positions of `descending`, in ascending order of position, without a
        sort of them all."""
        return largest(self.logits, self.ids, count)

    def best(self, count: int) -> npt.NDArray[np.intp]:
        """The first `count` positions of `descending`, in its order, without a sort of them all."""
        top = self.top(count)
        return top[falling(self.logits[top], self.ids[top])]

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, (n) float64; they sum to 1 over the candidates that remain."""
        weights = np.exp(self.logits.astype(np.float64) - float(self.logits.max()))
        return np.asarray(weights / weights.sum(), dtype=np.float64)


@dataclass
class History:
    """The tokens of a request so far: prompt, and output, which ends with the last drawn token. A
    step reads them and changes neither."""

    prompt: Sequence[int]
    output: list[int]

    def last(self, count: int) -> Ids:
        """The last `count` tokens of prompt and output together, (m) int64; all if count is
        negative."""
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
    """What `build` of a sampler is called with, once per request. seed: of the request; what a step
    draws at random comes from it. eos_ids: tokens that end an answer."""

    vocab_size: int
    seed: int
    context_length: int
    eos_ids: frozenset[int]
    encode: Callable[[str], list[int]]
    """Text to token ids, without special tokens. Raises RequestError for a model without a
    tokenizer."""
    decode: Callable[[Sequence[int]], str]
    token_bytes: Callable[[int], bytes] = lambda token: b""
    """The bytes of a token within a text; none for an id beyond the vocabulary."""
    special_ids: frozenset[int] = frozenset()
    """Tokens that are control, never text."""
    leading_spaces: int = 0
    """Spaces that are not part of the output at its start: SentencePiece writes one there."""
    kept: MutableMapping[str, Any] = field(default_factory=dict)
    """Where steps store what later requests of the same model can use, under the sampler's name.
    Requests are built in several threads at once."""


class Step(Protocol):
    """One step of the chain, called once per token. A step with state (mirostat) is one object per
    request: the last of `history.output` is what was drawn from the candidates it returned
    before."""

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        """The candidates that remain, one at least, with their logits. Raises RequestError."""
        ...


@runtime_checkable
class Forces(Protocol):
    """An optional method of a step that knows tokens before the model has computed logits."""

    def forced(self, history: History) -> Sequence[int]:
        """Tokens that must follow the output, one after the other; none where there is a choice.

        They depend on history alone. Each is passed through the other steps as the only candidate;
        at the first one that an earlier step forbids, forcing ends and the next token is drawn.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """An optional method of a step with work that needs no logits."""

    def prepare(self, history: History) -> None:
        """Called before the call with this history, in another thread while the model computes.

        Exceptions are ignored; the call that follows raises them again.
        """
        ...
