"""The step of the sampler chain: of all candidates only those that the grammar allows next."""

from __future__ import annotations

from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from tramontane.errors import RequestError
from tramontane.grammar import Grammar
from tramontane.sampling import Candidates, History, SamplerContext, Step

from .compiled import Compiled, compiled_of


def build(options: dict[str, Any], context: SamplerContext) -> Step | None:
    """Raises RequestError for a grammar that is none, or that cannot be enforced."""
    given = options["grammar"]
    if given is None:
        return None
    if not isinstance(given, Grammar):
        raise RequestError(
            f"sampler grammar: grammar={given!r:.60} must be a Grammar; set it as "
            "SamplingParams(grammar=...), --grammar or --json-schema"
        )
    if not context.eos_ids:
        raise RequestError("a grammar needs a model with an end token, and this one has none")
    compiled = compiled_of(context)
    matcher = compiled.matcher(given)
    if given.after:
        return AfterText(given, matcher, compiled, context)
    return Constrained(matcher, compiled.tokenizer)


class Constrained:
    """Follows the output token by token. One object serves one request."""

    def __init__(self, matcher: LLMatcher, tokenizer: LLTokenizer, start: int = 0) -> None:
        self._matcher, self._tokenizer = matcher, tokenizer
        self._seen = start

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        """Raises RequestError where no continuation is left, or the grammar is too complex."""
        self._follow(history.output)
        allowed = self._allowed()
        if candidates.whole:
            return candidates.keep(np.flatnonzero(allowed[: len(candidates.ids)]))
        inside = candidates.ids < len(allowed)
        return candidates.keep(
            np.flatnonzero(inside & allowed[np.where(inside, candidates.ids, 0)])
        )

    def _follow(self, output: list[int]) -> None:
        if self._seen < len(output) and not self._matcher.is_stopped():
            self._matcher.consume_tokens(output[self._seen :])
            self._check()
        self._seen = len(output)

    def _allowed(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(vocabulary,) whether each token may come next; past the end only end tokens may."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        return np.unpackbits(bits, bitorder="little").view(np.bool_)

    def _check(self) -> None:
        if self._matcher.is_error():
            said = " ".join(self._matcher.get_error().split())
            raise RequestError(f"the grammar cannot go on: {said:.300}")


class AfterText:
    """Free until a text has come, but for the end unless that is allowed; then constrained."""

    def __init__(
        self, grammar: Grammar, matcher: LLMatcher, compiled: Compiled, context: SamplerContext
    ) -> None:
        self._marker = grammar.after.encode()
        self._optional = grammar.optional
        self._bytes_of = context.token_bytes
        self._ends = np.asarray(sorted(context.eos_ids), np.int64)
        self._compiled, self._matcher = compiled, matcher
        self._tail = b""
        self._seen = 0
        self._then: Constrained | None = None

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        while self._then is None and self._seen < len(history.output):
            self._tail += self._bytes_of(history.output[self._seen])
            self._seen += 1
            before, found, rest = self._tail.partition(self._marker)
            if found:
                self._then = self._begin(rest)
            else:
                keep = len(self._marker) - 1
                self._tail = before[-keep:] if keep else b""
        if self._then is not None:
            return self._then(candidates, history)
        if self._optional:
            return candidates
        return candidates.where(~np.isin(candidates.ids, self._ends))

    def _begin(self, rest: bytes) -> Constrained:
        """`rest`: what the token that ended the free text went on with."""
        tokenizer = self._compiled.tokenizer
        tokens = tokenizer.tokenize_bytes(rest.lstrip())
        if self._matcher.try_consume_tokens(tokens) != len(tokens):
            raise RequestError(
                f"the token that ended with {self._marker.decode()!r} went on with "
                f"{rest.decode(errors='replace')!r}, which the grammar does not allow"
            )
        return Constrained(self._matcher, tokenizer, self._seen)
