"""Find stop strings in streamed text."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Finds the first of several stop strings; text that may be the start of one is held back.

    The first is the one whose end comes first; of two that end together, the longer one. No part of
    it, nor any text after it, is returned. Amortized cost per character: a constant number of steps
    along failure links (Aho and Corasick, 1975). Empty stop strings are ignored.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._fail = [0]
        self._depth = [0]
        self._stop: list[str | None] = [None]
        for stop in stops:
            if stop:
                self._insert(stop)
        self._link()
        self._state = 0
        self._held = ""
        self._stopped: str | None = None

    def push(self, text: str) -> tuple[str, str | None]:
        """Append text; returns the text that may be shown now, and the stop string if complete.

        After a stop string, further text is ignored.
        """
        if not self._next[0]:
            return text, None
        if self._stopped is not None:
            return "", self._stopped
        text = self._held + text
        for at in range(len(self._held), len(text)):
            self._state = self._step(self._state, text[at])
            if (stop := self._stop[self._state]) is not None:
                self._stopped = stop
                self._held = ""
                return text[: at + 1 - len(stop)], stop
        shown = len(text) - self._depth[self._state]
        self._held = text[shown:]
        return text[:shown], None

    def flush(self) -> str:
        """The text that was held back, at the end of the stream."""
        held, self._held, self._state = self._held, "", 0
        return held

    def _insert(self, stop: str) -> None:
        state = 0
        for char in stop:
            if char not in self._next[state]:
                self._next[state][char] = len(self._next)
                self._next.append({})
                self._fail.append(0)
                self._depth.append(self._depth[state] + 1)
                self._stop.append(None)
            state = self._next[state][char]
        self._stop[state] = stop

    def _link(self) -> None:
        """Set failure links, breadth first: the longest proper suffix that is also a prefix."""
        order = list(self._next[0].values())
        for state in order:
            for char, child in self._next[state].items():
                self._fail[child] = self._step(self._fail[state], char)
                if self._stop[child] is None:
                    self._stop[child] = self._stop[self._fail[child]]
                order.append(child)

    def _step(self, state: int, char: str) -> int:
        while state and char not in self._next[state]:
            state = self._fail[state]
        return self._next[state].get(char, 0)
