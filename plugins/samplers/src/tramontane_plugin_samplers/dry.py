"""DRY: l_i - multiplier * base^(n - allowed_length) for a token that would continue a repetition.

n is the length of the longest end of the text that has occurred before with the token after it, if
it is at least `allowed_length`. No repetition extends over a sequence breaker, and breakers are
never penalized. By P. E. Weidmann, text-generation-webui pull request 5677.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tramontane.sampling.step import Candidates, History, Ids, SamplerContext, Step

from .options import Options, number, refusal, whole
from .shift import shift
from .window import Window

BREAKERS = ("\n", ":", '"', "*")
LARGEST = 1e12
"""Growth beyond this makes no token less likely."""
LONGEST = 255
"""Tokens of growth that are told apart at most; a text that repeats one token has many matches."""


def build(options: Options, context: SamplerContext) -> Step | None:
    """multiplier: 0 is off. last_n: 0 is off, -1 all tokens. breakers: strings, or a text of them
    separated by commas in which \\n, \\t, \\s (a space) and \\xNN stand for characters."""
    multiplier = number("dry", options, "multiplier", 0, 1000)
    base = number("dry", options, "base", 1, 100)
    allowed_length = whole("dry", options, "allowed_length", 1)
    last_n = whole("dry", options, "last_n", -1)
    breakers = _breakers(options["breakers"])
    if multiplier == 0 or last_n == 0:
        return None
    return Dry(multiplier, base, allowed_length, last_n, Breaks(breakers, context))


class Breaks:
    """Which tokens of a text end a repetition."""

    def __init__(self, breakers: Sequence[str], context: SamplerContext) -> None:
        self._breakers = breakers
        self._decode = context.decode
        encoded = (context.encode(breaker) for breaker in breakers if len(breaker) > 1)
        self._sequences = [tokens for tokens in encoded if len(tokens) > 1]
        # whether a token's text contains a breaker; -1 until the token is first seen
        self._inside = np.full(context.vocab_size, -1, np.int8)

    def __call__(self, tokens: Ids) -> npt.NDArray[np.bool_]:
        """Where a token contains a breaker or is the last of one that several tokens spell."""
        found = self.inside(tokens)
        for sequence in self._sequences:
            width = len(sequence)
            if width <= len(tokens):
                views = np.lib.stride_tricks.sliding_window_view(tokens, width)
                found[width - 1 :] |= (views == sequence).all(axis=1)
        return found

    def inside(self, tokens: Ids) -> npt.NDArray[np.bool_]:
        """Where a token contains a breaker."""
        most = int(tokens.max(initial=-1)) + 1
        if most > len(self._inside):  # a prompt may have tokens that the head has not
            more = np.full(most - len(self._inside), -1, np.int8)
            self._inside = np.concatenate((self._inside, more))
        for token in set(tokens[self._inside[tokens] < 0].tolist()):
            text = self._decode([token])
            self._inside[token] = any(breaker in text for breaker in self._breakers)
        return np.asarray(self._inside[tokens] == 1)


class Dry:
    """The step."""

    def __init__(
        self, multiplier: float, base: float, allowed_length: int, last_n: int, breaks: Breaks
    ) -> None:
        self._multiplier, self._base, self._allowed = multiplier, base, allowed_length
        self._window = Window(last_n)
        self._breaks = breaks
        growth = math.ceil(math.log(LARGEST) / math.log(base)) if base > 1 else 0
        self._longest = allowed_length + min(growth, LONGEST)

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        tokens = self._window(history)
        breaks = np.flatnonzero(self._breaks(tokens))
        limit = len(tokens) - 1 - int(breaks[-1]) if len(breaks) else len(tokens)
        if limit < self._allowed:
            return candidates
        ends, lengths = repeated_ends(tokens, min(limit, self._longest))
        enough = lengths >= self._allowed
        followers, lengths = tokens[ends[enough] + 1], lengths[enough]
        punished, place = np.unique(followers, return_inverse=True)
        longest = np.zeros(len(punished))
        np.maximum.at(longest, place, lengths)
        free = ~self._breaks.inside(punished)
        amounts = self._multiplier * self._base ** (longest - self._allowed)
        return shift(candidates, punished[free], -amounts[free])


def repeated_ends(tokens: Ids, limit: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Earlier positions of the last token, and how far back from each the text is the same as at
    its end, `limit` at most.

    All positions are followed at once, one token further back at a time; those where the texts
    part leave, which in a text that does not repeat itself is nearly all of them at once.
    """
    ends = np.flatnonzero(tokens[:-1] == tokens[-1])
    lengths = np.ones(len(ends), np.intp)
    alive = np.arange(len(ends))
    length = 1
    while len(alive) and length < limit:
        alive = alive[ends[alive] >= length]
        alive = alive[tokens[ends[alive] - length] == tokens[-1 - length]]
        length += 1
        lengths[alive] = length
    return ends, lengths


def _breakers(given: object) -> tuple[str, ...]:
    if given is None:
        return BREAKERS
    if isinstance(given, str):
        return tuple(_unescape(part) for part in given.split(",") if part)
    if isinstance(given, Sequence) and all(isinstance(part, str) and part for part in given):
        return tuple(given)
    raise refusal("dry", "breakers", given, "strings, none of them empty")


def _unescape(text: str) -> str:
    names = {"n": "\n", "t": "\t", "s": " "}
    return re.sub(
        r"\\(?:([nts])|x([0-9a-fA-F]{2}))",
        lambda found: names[found[1]] if found[1] else chr(int(found[2], 16)),
        text,
    )
