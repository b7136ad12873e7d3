"""What followed the longest run that is known, in this text or in earlier answers of the server.

Earlier answers are in two automata of bounded size: answers go into the newer one; once it is full,
the older one is forgotten, and a new one begun. Of two runs the longer counts, of equal ones that
in the text itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from tramontane.drafting import Guesses
from tramontane.errors import UsageError
from tramontane.sampling import History

from .automaton import Automaton

END = -1
"""Stands behind each text, as no token."""
LEAD = 8
"""Tokens of a prompt that an answer is remembered behind."""
LONGEST, LARGEST = 64, 1 << 24


class Answers:
    """Earlier answers, of up to so many tokens. Any thread may use it."""

    def __init__(self, tokens: int) -> None:
        self._half = tokens // 2
        self._lock = threading.Lock()
        self.automata = (Automaton(), Automaton())
        """The older, and the newer."""

    def learn(self, text: Sequence[int]) -> None:
        """Remember a text, or its end if it is too long."""
        text = text[max(0, len(text) - self._half + 1) :]
        if not text:
            return
        with self._lock:
            if len(self.automata[1]) + len(text) >= self._half and len(self.automata[1]):
                self.automata = self.automata[1], Automaton()
            for token in text:
                self.automata[1].add(token)
            self.automata[1].add(END)

    def follow(self, places: dict[int, _Place], tokens: Sequence[int], text: Sequence[int]) -> None:
        """Take the places of a text on by some tokens. text: as far as it was followed, for an
        automaton that is new."""
        with self._lock:
            known = {id(each): each for each in self.automata}
            for key in [key for key in places if key not in known]:
                del places[key]
            for key, automaton in known.items():
                place = places.get(key)
                if place is None:
                    place = places[key] = _Place(automaton)
                    place.take(text[-LONGEST:])
                place.take(tokens)

    def continuation(self, place: _Place, count: int) -> list[int]:
        """What followed a place."""
        with self._lock:
            return place.continuation(count)


class _Place:
    """The longest suffix of a text that occurs in an automaton."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._state = self.length = 0

    def take(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self._state, self.length = self._automaton.walk(self._state, self.length, token)

    def continuation(self, count: int) -> list[int]:
        first = self._automaton.end(self._state, self.length) + 1
        found = list(self._automaton.tokens[first : first + count])
        return found[: found.index(END)] if END in found else found


class Suffix:
    """A drafter by suffixes of n tokens or more. tokens: remembered of earlier answers; 0: none."""

    def __init__(self, n: int, tokens: int) -> None:
        """Raises UsageError."""
        if not 1 <= n <= LONGEST:
            raise UsageError(f"draft suffix: n={n} must be 1 to {LONGEST}")
        if not 0 <= tokens <= LARGEST:
            raise UsageError(f"draft suffix: tokens={tokens} must be 0 to {LARGEST}")
        self.n, self.answers = n, Answers(tokens)

    def begin(self) -> Guesses:
        return SuffixGuesses(self)


class SuffixGuesses:
    """One request's."""

    def __init__(self, drafter: Suffix) -> None:
        self._drafter = drafter
        self._own = Automaton()
        self._places: dict[int, _Place] = {}

    def propose(self, history: History, n: int) -> list[int]:
        """Up to n tokens."""
        own, answers = self._own, self._drafter.answers
        fresh = _after(history, len(own))
        answers.follow(self._places, fresh, own.tokens[-LONGEST:])
        for token in fresh:
            own.add(token)
        length, place = own.earlier
        best = max(self._places.values(), key=lambda each: each.length)
        if max(length, best.length) < self._drafter.n:
            return []
        if best.length > length:
            return answers.continuation(best, n)
        found = list(own.tokens[place + 1 : place + 1 + n])
        period = len(own) - 1 - place
        while len(found) < n:  # beyond the end it repeats
            found.append(found[len(found) - period])
        return found

    def end(self, history: History) -> None:
        """The request has ended: its answer is an earlier one from now on."""
        self._drafter.answers.learn([*history.prompt[-LEAD:], *history.output])


def _after(history: History, count: int) -> Sequence[int]:
    """The tokens of prompt and output behind the first `count`."""
    prompt = len(history.prompt)
    if count >= prompt:
        return history.output[count - prompt :]
    return [*history.prompt[count:], *history.output]


def build(options: Mapping[str, int]) -> Suffix:
    """Raises UsageError."""
    return Suffix(options["n"], options["tokens"])
