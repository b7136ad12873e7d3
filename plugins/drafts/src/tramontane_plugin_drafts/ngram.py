"""Prompt lookup: what followed the last few tokens when they occurred before.

The longest suffix of m down to n tokens that occurs earlier in prompt and output is looked up in an
index of each length, which knows where every run of so many tokens ended last. What followed there
is the guess; where that reaches the end of the text, it goes on with the guess itself, as a text
that repeats would.
"""

from __future__ import annotations

from collections.abc import Mapping

from tramontane.drafting import Guesses
from tramontane.errors import UsageError
from tramontane.sampling import History

LONGEST = 32


class Ngram:
    """A drafter by suffixes of n to m tokens."""

    def __init__(self, n: int, m: int) -> None:
        """Raises UsageError."""
        if not 1 <= n <= LONGEST:
            raise UsageError(f"draft ngram: n={n} must be 1 to {LONGEST}")
        if not n <= m <= LONGEST:
            raise UsageError(f"draft ngram: m={m} must be n={n} to {LONGEST}")
        self.n, self.m = n, m

    def begin(self) -> Guesses:
        return NgramGuesses(self.n, self.m)


class NgramGuesses:
    """One request's. Each token is put into the index once, when the next is known."""

    def __init__(self, n: int, m: int) -> None:
        self._tokens: list[int] = []
        self._sizes = range(n, m + 1)
        self._ends: dict[int, dict[tuple[int, ...], int]] = {size: {} for size in self._sizes}
        """For each size, where the token after a run of so many is that came last."""
        self._indexed = 0
        """Tokens before which every run is in the index."""

    def propose(self, history: History, n: int) -> list[int]:
        """Up to n tokens."""
        self._take(history)
        tokens = self._tokens
        found = None
        for size, ends in self._ends.items():  # a longer one is there only if a shorter one is
            follows = ends.get(tuple(tokens[-size:])) if size < len(tokens) else None
            if follows is None:
                break
            found = follows
        return [] if found is None else self._from(found, n)

    def _from(self, start: int, count: int) -> list[int]:
        tokens = self._tokens
        found = tokens[start : start + count]
        period = len(tokens) - start
        while len(found) < count:
            found.append(found[len(found) - period])
        return found

    def _take(self, history: History) -> None:
        tokens = self._tokens
        if not tokens:
            tokens.extend(history.prompt)
        tokens.extend(history.output[len(tokens) - len(history.prompt) :])
        for size, ends in self._ends.items():
            first = max(self._indexed, size)
            if first >= len(tokens):
                continue
            columns = [tokens[first - size + j : len(tokens) - size + j] for j in range(size)]
            ends.update(zip(zip(*columns, strict=True), range(first, len(tokens)), strict=False))
        self._indexed = len(tokens)


def build(options: Mapping[str, int]) -> Ngram:
    """Raises UsageError."""
    return Ngram(options["n"], options["m"])
