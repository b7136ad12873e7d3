"""The step of the sampler chain: of all candidates only those that the grammar allows next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.sampling import Candidates, History, SamplerContext, Step

from .grammar_cache import Compiled, Entry, compiled_of
from .masks import Bools, mask_of
from .trouble import no_panic, stopped

Ids: TypeAlias = npt.NDArray[np.intp]


def build(options: dict[str, Any], context: SamplerContext) -> Step | None:
    """Raises RequestError for a grammar that is none, or that cannot be enforced."""
    given = options["grammar"]
    if given is None:
        return None
    if not isinstance(given, Grammar):
        raise RequestError(
            f"sampler grammar: grammar={given!r:.60} must be a Grammar",
            hint="set it as SamplingParams(grammar=...), --grammar or --json-schema",
        )
    if not context.eos_ids:
        raise RequestError("a grammar needs a model with an end token, and this one has none")
    compiled = compiled_of(context)
    entry = compiled.entry(given)
    if given.after:
        return AfterText(given, entry, compiled, context)
    return Constrained(entry, compiled)


def make_ready(context: SamplerContext) -> None:
    """Make the model's vocabulary before a request needs it."""
    if context.eos_ids:
        step = build({"grammar": Grammar(type="json_object")}, context)
        assert isinstance(step, Constrained)
        step.prepare(History([], []))


class Constrained:
    """Follows the output token by token. One object serves one request."""

    def __init__(self, entry: Entry, compiled: Compiled, start: int = 0) -> None:
        self._entry, self._compiled = entry, compiled
        self._matcher, self._spaced = entry.matcher, entry.spaced
        self._seen = start
        self._text: list[int] = []
        """Tokens that were followed."""
        self._ready: tuple[int, Bools, Ids] | None = None

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        """Raises RequestError where no continuation is left, or the grammar is too complex."""
        allowed, ids = self._allowed(history.output)
        if candidates.whole:
            return candidates.keep(ids[: np.searchsorted(ids, len(candidates.ids))])
        inside = candidates.ids < len(allowed)
        return candidates.keep(
            np.flatnonzero(inside & allowed[np.where(inside, candidates.ids, 0)])
        )

    def prepare(self, history: History) -> None:
        """Make the mask for this output."""
        self._allowed(history.output)

    def forced(self, history: History) -> Sequence[int]:
        """The tokens of the text that must follow, as the tokenizer cuts it. It ends where the next
        token might also hold what comes after it, and there is a choice of that."""
        self._follow(history.output)
        if self._spaced is not None:  # with a space in front or without
            return ()
        if self._matcher.is_stopped():
            ends = self._compiled.tokenizer.eos_tokens
            over = bool(history.output) and history.output[-1] in ends
            return ends if len(ends) == 1 and not over else ()
        with no_panic("the grammar"):
            tokens = self._matcher.compute_ff_tokens()
            # text may be cut otherwise inside a sentence: what the grammar does not take is not
            # forced
            found = tokens[: self._matcher.validate_tokens(tokens)] if tokens else ()
        self._check()
        return found

    def _follow(self, output: list[int]) -> None:
        new = output[self._seen :]
        self._seen = len(output)
        if new and self._spaced is not None:
            if self._compiled.vocabulary.words[new[0]].startswith(b" "):
                self._matcher = self._spaced
            self._spaced = None
        if new and not self._matcher.is_stopped():
            with no_panic("the grammar"):
                self._matcher.consume_tokens(new)
        self._text += new
        self._check()

    def _allowed(self, output: list[int]) -> tuple[Bools, Ids]:
        """(vocabulary,) whether each token may come next, and the ids of those that may; past the
        end only end tokens may."""
        if self._ready is None or self._ready[0] != len(output):
            self._follow(output)
            vocabulary = self._compiled.vocabulary
            allowed = mask_of(self._matcher, vocabulary)
            if self._spaced is not None:
                spaces = vocabulary.spaces
                allowed = (allowed & ~spaces) | (mask_of(self._spaced, vocabulary) & spaces)
            ids = np.flatnonzero(allowed)
            if not len(ids):
                raise self._compiled.cannot_write(self._entry.source, self._written())
            self._ready = len(output), allowed, ids
        return self._ready[1:]

    def _written(self) -> bytes:
        words = self._compiled.vocabulary.words
        text = b"".join([words[token] for token in self._text])
        leading = self._compiled.vocabulary.leading if self._entry.spaced is not None else 0
        for _ in range(leading):
            text = text.removeprefix(b" ")
        return text

    def _check(self) -> None:
        # a matcher in trouble says that it is stopped, as one at the end of its sentence does
        if self._matcher.is_error():
            raise stopped(self._matcher.get_error())


class AfterText:
    """Free until a text has come, but for the end unless that is allowed; then constrained."""

    def __init__(
        self, grammar: Grammar, entry: Entry, compiled: Compiled, context: SamplerContext
    ) -> None:
        self._marker = grammar.after.encode()
        self._optional = grammar.optional
        self._bytes_of = context.token_bytes
        self._ends = np.asarray(sorted(context.eos_ids), np.int64)
        self._compiled, self._entry = compiled, entry
        self._tail = b""
        self._seen = 0
        self._then: Constrained | None = None

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        if (then := self._constrained(history)) is not None:
            return then(candidates, history)
        if self._optional:
            return candidates
        return candidates.where(~np.isin(candidates.ids, self._ends))

    def prepare(self, history: History) -> None:
        """Make the mask, if there is one already."""
        if (then := self._constrained(history)) is not None:
            then.prepare(history)

    def forced(self, history: History) -> Sequence[int]:
        """None while the text is free."""
        then = self._constrained(history)
        return () if then is None else then.forced(history)

    def _constrained(self, history: History) -> Constrained | None:
        while self._then is None and self._seen < len(history.output):
            self._tail += self._bytes_of(history.output[self._seen])
            self._seen += 1
            before, found, rest = self._tail.partition(self._marker)
            if found:
                self._then = self._begin(rest)
            else:
                keep = len(self._marker) - 1
                self._tail = before[-keep:] if keep else b""
        return self._then

    def _begin(self, rest: bytes) -> Constrained:
        """`rest`: what the token that ended the free text went on with."""
        tokens = self._compiled.tokenizer.tokenize_bytes(rest.lstrip())
        if self._entry.matcher.try_consume_tokens(tokens) != len(tokens):
            raise RequestError(
                f"the token that ended with {self._marker.decode()!r} went on with "
                f"{rest.decode(errors='replace')!r}, which the grammar does not allow"
            )
        return Constrained(self._entry, self._compiled, self._seen)
