"""An answer in, in any pieces; content, reasoning and calls out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from .deltas import Answer, CallEnd, Delta
from .scan import More, Scan

Caller = Callable[[Scan], Generator[Any, None, None]]


class AnswerParser:
    """Reads one answer. It raises nothing on any text, and what it finds in all does not depend on
    how the text was cut.

    several: whether there may be more calls than one; else the answer ends with the first.
    """

    def __init__(self, scan: Scan, caller: Caller, several: bool = True) -> None:
        self._scan, self._several = scan, several
        self._reading = caller(scan)
        self._done = self._ended = False
        self._advance()

    def push(self, text: str) -> list[Delta]:
        """More of the text; what it brings, in order."""
        if text and not self._done:
            self._scan.text += text
            self._advance()
        return self._taken()

    def finish(self) -> list[Delta]:
        """The text is over; what was held back until now. Further calls return nothing."""
        if not self._done:
            self._scan.ended = True
            self._advance()
            self._scan.finish()
        return self._taken()

    def whole(self, text: str) -> Answer:
        """All of an answer at once."""
        return Answer.of([*self.push(text), *self.finish()])

    def _advance(self) -> None:
        try:
            next(self._reading)
        except StopIteration:
            if self._scan.ended and self._scan.at >= len(self._scan.text):
                self._done = True
            else:  # a caller that is through with its part: the rest is plain text
                self._reading = plain(self._scan)
                self._advance()

    def _taken(self) -> list[Delta]:
        found, self._scan.found = self._scan.found, []
        if self._several:
            return found
        if self._ended:
            return []
        end = next((i for i, delta in enumerate(found) if isinstance(delta, CallEnd)), None)
        if end is None:
            return found
        self._ended = self._done = True
        return found[: end + 1]


def plain(scan: Scan) -> More[None]:
    """A caller that finds no calls."""
    while (yield from scan.until()) is not None:
        pass
