"""What a tool caller reads an answer with: text that may still be on its way.

A caller is a generator function of a `Scan`. Where it needs text that has not come yet, it yields,
and goes on when there is more; so it is written as if all were there, and what it finds does not
depend on how the text was cut into pieces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

from tramontane.tools import Tool

from .deltas import CallArguments, CallEnd, CallStart, Content, Delta, Reasoning

T = TypeVar("T")
Kind: TypeAlias = type[Content] | type[Reasoning]
More: TypeAlias = Generator[None, None, T]
"""Yields while it waits for text, returns a T."""
NAME = 256
"""Characters of the longest name of a tool, with what stands around it."""
NO_TEXT = ("\0no such text\0",)
BLANKS = re.compile(r"[ \t\r\n]*")


class Scan:
    """The text of an answer from `at` on, and the pieces found so far.

    tools: what the model may call. thinking: the reasoning's opening and closing, or None.
    """

    def __init__(self, tools: Sequence[Tool] = (), thinking: tuple[str, str] | None = None) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.thinking = thinking
        self.thinks = False
        """Whether the text goes on inside the reasoning."""
        self.breaks: tuple[str, ...] = ()
        """Openings that end a reasoning even where its closing is missing."""
        self.closings: tuple[str, ...] = ()
        """What closes a call, after its arguments."""
        self.openings: tuple[str, ...] = ()
        """What opens one: what `until` was last asked for."""
        self.text = ""
        self.at = 0
        self.ended = False
        self.found: list[Delta] = []
        self._calls = 0
        self._blanks = {Content: "", Reasoning: ""}
        self._said: set[type] = set()
        self._open = False

    # what has come

    def more(self) -> More[bool]:
        """Wait for text. False: there will be none."""
        if self.ended:
            return False
        yield
        return True

    def peek(self) -> More[str]:
        """The next character, "" at the end."""
        while self.at >= len(self.text):
            if not (yield from self.more()):
                return ""
        return self.text[self.at]

    def blanks(self) -> More[str]:
        """Skip white space; the character after it."""
        while True:
            self.at = BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if not (yield from self.more()):
                return ""

    def literal(self, *texts: str) -> More[bool]:
        """Skip one of the texts if it comes next."""
        for text in texts:
            while True:
                have = self.text[self.at : self.at + len(text)]
                if have == text:
                    self.at += len(text)
                    return True
                if not text.startswith(have) or not (yield from self.more()):
                    break
        return False

    def before(self, *ends: str, limit: int = NAME) -> More[str | None]:
        """The text before the first of `ends`, which is not skipped; None if none comes in time."""
        pattern = any_of(ends)
        window = limit + max(map(len, ends))
        while True:
            found = pattern.search(self.text, self.at, self.at + window)
            if found:
                text = self.text[self.at : found.start()]
                self.at = found.start()
                return text
            if len(self.text) - self.at >= window or not (yield from self.more()):
                return None

    def pass_on(self, sink: Callable[[str], None], *ends: str) -> More[bool]:
        """Hand the text before one of `ends` to the sink as it comes. Whether that has come; it is
        not skipped."""
        pattern = any_of(ends)
        while True:
            found = pattern.search(self.text, self.at)
            stop = found.start() if found else len(self.text)
            if not found and not self.ended:
                stop -= unsure(self.text, self.at, ends)
            if stop > self.at:
                piece = self.text[self.at : stop]
                self.at = stop
                sink(piece)
            if found:
                return True
            if not (yield from self.more()):
                return False

    def until(self, *openings: str) -> More[str | None]:
        """Plain text up to the first opening, which is skipped and returned; None at the end.

        Reasoning in between is told apart.
        """
        thinking = self.thinking[:1] if self.thinking else ()
        self.openings = openings
        while True:
            if self.thinks:
                yield from self._reason()
            self._forget()
            marker = yield from self._say(Content, (*openings, *thinking))
            if marker is None:
                return None
            self.at += len(marker)
            if marker in openings:
                return marker
            self.thinks = True

    def back(self, at: int, opening: str) -> None:
        """It was no call: the opening before `at` is plain text, and so is what follows it."""
        self.say(opening)
        self.at = at

    def _reason(self) -> More[None]:
        opening, closing = self.thinking or ("", "")
        yield from self.blanks()
        yield from self.literal(opening)  # both the prompt and the model may have written it
        if Reasoning in self._said:
            self.say("\n", Reasoning)
        marker = yield from self._say(Reasoning, (closing, *self.breaks))
        if marker == closing:
            self.at += len(marker)
        self.thinks = False

    def _say(self, kind: Kind, ends: tuple[str, ...]) -> More[str | None]:
        """Say what comes before one of `ends`, and return that; None at the end of the text."""
        ends = ends or NO_TEXT
        if not (yield from self.pass_on(lambda piece: self.say(piece, kind), *ends)):
            return None
        return next(mark for mark in ends if self.text.startswith(mark, self.at))

    def _forget(self) -> None:
        if self.at > 1 << 14:
            self.text, self.at = self.text[self.at :], 0

    # what is found

    def say(self, text: str, kind: Kind = Content) -> None:
        """Plain text, or reasoning. White space waits until it is known whether more comes."""
        text = self._blanks[kind] + text
        if (not self._said and kind is Content) or kind in self._said:
            start = 0
        else:  # white space between a call and the beginning of a text is neither's
            start = len(text) - len(text.lstrip(" \t\r\n"))
        stop = len(text.rstrip(" \t\r\n"))
        if not text.strip(" \t\r\n"):
            self._blanks[kind] = text
            return
        self._blanks[kind] = text[stop:]
        self._said.add(kind)
        self.found.append(kind(text[start:stop]))

    def start(self, name: str, id: str = "") -> None:
        """A call begins."""
        self._said.add(CallStart)
        self._open = True
        self.found.append(CallStart(self._calls, name, id))

    def arguments(self, text: str) -> None:
        """More of its arguments."""
        if text:
            self.found.append(CallArguments(self._calls, text))

    def end(self, whole: bool) -> None:
        """It ends."""
        self.found.append(CallEnd(self._calls, whole))
        self._calls += 1
        self._open = False

    def call(self, name: str, arguments: str, id: str = "") -> None:
        """A whole call."""
        self.start(name, id)
        self.arguments(arguments)
        self.end(whole=True)

    def finish(self) -> None:
        """The text is over: a call that is open was cut off; white space was all there was."""
        if self._open:
            self.end(whole=False)
        if self._said <= {Content} and self._blanks[Content]:
            self.found.append(Content(self._blanks[Content]))
            self._blanks[Content] = ""


@lru_cache(256)
def any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(t) for t in sorted(texts, key=len, reverse=True)))


def unsure(text: str, at: int, ends: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of one of `ends`."""
    longest = min(max(map(len, ends)) - 1, len(text) - at)
    for count in range(longest, 0, -1):
        tail = text[-count:]
        if any(end.startswith(tail) for end in ends):
            return count
    return 0
