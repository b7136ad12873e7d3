"""What may come next in a transcript: a sampler step of each window, which also notes how likely
what was written is, which language the window is in, and whether anybody speaks."""

from collections.abc import Sequence

import numpy as np
from tramontane.sampling.step import Candidates, Floats, History

from .special import SpecialTokens


class TranscriptStep:
    """The prompt ends with the start of a transcript. What follows begins with `opening`, the
    tokens of language and task, and goes on with text.

    opening: the first may be None: the most likely language. stamps: whether there are timestamps:
    in pairs, at the end of one segment and the start of the next, never falling, the first one at
    the beginning; and where they are likelier together than any other token, one of them is next.
    """

    def __init__(
        self, special: SpecialTokens, opening: Sequence[int | None], *, stamps: bool
    ) -> None:
        self._special, self._stamps = special, stamps
        self.opening = list(opening)
        self.no_speech = 0.0
        """Probability of silence."""
        self._suppressed = np.array(special.suppressed, np.int64)
        self._first = np.array(special.suppressed_first, np.int64)
        self._sum = 0.0
        self._last: tuple[Floats, float] | None = None
        """Scores of the token that was drawn last, and the logarithm of their sum."""

    def forced(self, history: History) -> Sequence[int]:
        """Implements `Forces`: of the opening, what stands behind the language."""
        count = len(history.output)
        if not 0 < count < len(self.opening):
            return ()
        return [token for token in self.opening[count:] if token is not None]

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        place = len(history.output)
        if place == 0:
            self.no_speech = float(_shares(candidates.logits)[self._special.no_speech])
        if place < len(self.opening):
            if self.opening[place] is None:
                ids = np.array(sorted(self._special.languages.values()))
                self.opening[place] = int(ids[candidates.logits[ids].argmax()])
            return candidates.keep(np.array([self.opening[place]]))
        written = history.output[len(self.opening) :]
        self._note(written)
        scores = candidates.logits.copy()
        if len(self._suppressed):
            scores[self._suppressed] = -np.inf
        if not written and len(self._first):
            scores[self._first] = -np.inf
        if self._stamps:
            self._restrict(scores, written)
        most = float(scores.max())
        self._last = scores, most + float(np.log(np.exp(scores - most).sum(dtype=np.float64)))
        return candidates.with_logits(scores)

    def mean_logprob(self, written: Sequence[int]) -> float:
        """Of what was written behind the opening, its end included; to be asked once, at the
        end."""
        self._note(written)
        return self._sum / max(1, len(written))

    def _note(self, written: Sequence[int]) -> None:
        if self._last is not None and written:
            scores, whole = self._last
            self._sum += float(scores[written[-1]]) - whole
        self._last = None

    def _restrict(self, scores: Floats, written: Sequence[int]) -> None:
        """Forbid what timestamps forbid."""
        first, end = self._special.first_timestamp, self._special.end
        scores[self._special.no_timestamps] = -np.inf
        stamps = [token for token in written if token >= first]
        if written and written[-1] >= first:
            if len(written) < 2 or written[-2] >= first:
                scores[first:] = -np.inf
            else:
                scores[:end] = -np.inf
        if stamps:
            closes = written[-1] >= first and len(written) > 1 and written[-2] < first
            scores[first : stamps[-1] + (0 if closes else 1)] = -np.inf
        if not written:
            scores[:first] = -np.inf
            if self._special.latest_first is not None:
                scores[first + self._special.latest_first + 1 :] = -np.inf
        best_text = float(scores[:first].max())
        if len(scores) > first and best_text > -np.inf:
            best = float(scores[first:].max())
            if best == -np.inf:
                return
            together = best + float(np.log(np.exp(scores[first:] - best).sum(dtype=np.float64)))
            if together > best_text:
                scores[:first] = -np.inf


def _shares(logits: Floats) -> Floats:
    """Softmax."""
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum(dtype=np.float64), np.float32)
