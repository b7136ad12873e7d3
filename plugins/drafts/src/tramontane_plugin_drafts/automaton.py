"""A text's suffix automaton: all runs of its tokens, found token by token (Blumer et al. 1985).

A state stands for runs that end at the same places; its link leads to the longest suffix of them
that also ends elsewhere. The automaton is the suffix tree of the reversed text, with at most two
states a token, and grows with the text.
"""

from __future__ import annotations

from array import array

FRESHENED = 32
"""States on the way to shorter suffixes whose last place is noted with each token."""


class Automaton:
    """Grows by `add`; `walk` follows another text in it. State 0 is the empty run."""

    def __init__(self) -> None:
        self.tokens = array("q")
        self.earlier: tuple[int, int] = (0, 0)
        """The longest suffix of the text that occurred before: its length, and where it ended."""
        self._next: list[dict[int, int]] = [{}]
        self._length, self._link, self._end = array("l", [0]), array("l", [-1]), array("l", [-1])
        self._last = 0

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, token: int) -> None:
        """Append a token to the text."""
        now, at = self._state(self._length[self._last] + 1, {}), self._last
        self.tokens.append(token)
        while at >= 0 and token not in self._next[at]:
            self._next[at][token] = now
            at = self._link[at]
        if at >= 0:
            self._link[now] = self._suffix(at, token)
        else:
            self._link[now] = 0
        self._last = now
        link, place = self._link[now], len(self.tokens) - 1
        self.earlier = (self._length[link], self._end[link])
        for _ in range(FRESHENED):
            self._end[now] = place
            now = self._link[now]
            if now <= 0:
                break

    def _suffix(self, at: int, token: int) -> int:
        """The state of `at`'s longest run with the token behind."""
        found = self._next[at][token]
        if self._length[found] == self._length[at] + 1:
            return found
        copy = self._state(self._length[at] + 1, dict(self._next[found]))
        self._link[copy], self._end[copy] = self._link[found], self._end[found]
        self._link[found] = copy
        while at >= 0 and self._next[at].get(token) == found:
            self._next[at][token] = copy
            at = self._link[at]
        return copy

    def _state(self, length: int, following: dict[int, int]) -> int:
        self._next.append(following)
        self._length.append(length)
        self._link.append(0)
        self._end.append(-1)
        return len(self._length) - 1

    def walk(self, state: int, length: int, token: int) -> tuple[int, int]:
        """One token further in another text. state, length: of its longest suffix that occurs here;
        returns them with the token."""
        state = self._grown(state, length)
        while state and token not in self._next[state]:
            state = self._link[state]
            length = self._length[state]
        following = self._next[state].get(token)
        return (0, 0) if following is None else (following, length + 1)

    def end(self, state: int, length: int) -> int:
        """Where a run of `walk` ended here last, or nearly so."""
        return self._end[self._grown(state, length)]

    def _grown(self, state: int, length: int) -> int:
        """The state of a run, which may have been split off since."""
        while state and length <= self._length[self._link[state]]:
            state = self._link[state]
        return state
