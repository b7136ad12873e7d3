"""How many tokens to draft: by how often drafts come true, and by what a row of a step costs.

A step of R rows takes about a + b R seconds and yields about T tokens, so that a row is worth its
time if it yields a token with a probability of more than t = b T / (a + b R). Guessing a token may
take c seconds itself: then t = (b + c) T / (a + b R + c D), D being those guessed already. With a
probability p that a drafted token is right, given that those before it are, the k-th is worth it
while p^k > t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tramontane.drafting import Guesses

FORGETS = 0.95
"""Weight of earlier measurements, with each new one."""
SHARE = 0.3
"""b / (a + b), before it is measured."""
FADES = 0.85
"""Weight of earlier drafts of an answer, with each new one."""
FULL = 0.9
"""What a row must be worth in a batch that is too full to try."""
MISSES = 6
"""Steps without a question, at most, where there was no guess several times."""
FIRST_REST, LONGEST_REST = 16, 512
"""Steps without drafts, after the first that failed and at most."""


class StepCost:
    """Seconds of steps by their rows: a weighted least-squares line through recent ones."""

    def __init__(self) -> None:
        self._sums = [0.0] * 5
        self._share = SHARE
        self._guessed = [0.0, 0.0]
        """Seconds of guessing, and the tokens that it gave."""
        self._since = 0

    def measured(self, rows: int, seconds: float) -> None:
        """Note a step's time."""
        weight, _, whole, _, _ = self._sums
        if weight > 5 and seconds > 3 * whole / weight:
            return  # something else had the processor
        new = (1.0, rows, seconds, rows * rows, rows * seconds)
        self._sums = [FORGETS * old + more for old, more in zip(self._sums, new, strict=True)]
        self._since += 1
        if self._since >= 8:
            self._since, self._share = 0, self._fitted()

    def guessed(self, tokens: int, seconds: float) -> None:
        """Note how long it took to guess so many tokens."""
        told, count = self._guessed
        if count and seconds > 5 * told / count * max(tokens, 1) and count > 20:
            return  # a text was read first, or something else had the processor
        self._guessed = [FORGETS * told + seconds, FORGETS * count + tokens]

    def _fitted(self) -> float:
        """b / (a + b), between what noise could make of it."""
        weight, x, y, xx, xy = self._sums
        spread = weight * xx - x * x
        if weight <= 5 or spread <= 0.05 * weight * weight:
            return self._share
        slope = (weight * xy - x * y) / spread
        base = (y - slope * x) / weight
        share = slope / (base + slope) if base + slope > 0 else 1.0
        return min(max(share, 0.05), 0.9)

    def worth(self, tokens: int, rows: int) -> float:
        """The probability above which one more row is worth its time in a step of so many tokens
        and rows."""
        share, more = self._share, self._guessing_share()
        whole = 1 - share + share * rows + more * (rows - tokens)
        return min((share + more) * tokens / whole, 0.98)

    def _guessing_share(self) -> float:
        """c / (a + b): what guessing a token takes of a step of one row."""
        weight, x, y, _, _ = self._sums
        seconds, tokens = self._guessed
        if weight <= 5 or not tokens:
            return 0.0
        one = y / weight / (1 - self._share + self._share * x / weight)
        return seconds / tokens / one if one > 0 else 0.0


class DraftLength:
    """One answer's. resting: steps to come without a draft."""

    def __init__(self, most: int) -> None:
        self.resting = 0
        self._most = most
        self._right, self._wrong = 1.0, 1.0
        self._pause = FIRST_REST
        self._misses = 0

    def next(self, worth: float) -> int:
        """Tokens to draft in a step; worth: see `StepCost`."""
        chance = min(self._right / (self._right + self._wrong), 0.98)
        if chance > worth:
            return min(self._most, int(math.log(worth) / math.log(chance)))
        if worth > FULL:
            self.resting = FIRST_REST
            return 0
        return 1  # a probe

    def missed(self) -> None:
        """There was no guess: where steps are short, asking each time is not free."""
        self._misses = min(self._misses + 1, MISSES)
        self.resting = self._misses

    def seen(self, drafted: int, accepted: int, worth: float) -> None:
        """So many of the drafted tokens were right; worth: of the step that they were in."""
        self._misses = 0
        self._right = FADES * self._right + accepted
        self._wrong = FADES * self._wrong + (accepted < drafted)
        if accepted:
            self._pause = FIRST_REST
        elif self._right <= worth * (self._right + self._wrong):
            self.resting = self._pause
            self._pause = min(2 * self._pause, LONGEST_REST)


@dataclass
class Guessing:
    """What guesses one sequence's tokens, and how it fares."""

    length: DraftLength
    guesses: Guesses | None = None
    """A plugin's, once it was asked."""
    failed: bool = False
    """Whether guessing has failed; then the request goes on without."""
    worth: float = 0.0
    """What a row had to be worth in the last step."""
