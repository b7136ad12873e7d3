"""Where a value ends that is written as it is, between tags that it may itself have in it.

`<parameter=text>` ... `</parameter>`: the closing tag counts if what follows it can follow a value:
another member, the end of the call or of the text. Models also forget it; then the value ends
before the tags that close the call, or before the opening of another member or call. Where text
follows, only what comes later shows which it was: until then the value is held back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Literal

from tramontane.answers import More, Scan
from tramontane.answers.broken import MARKS, cut_off
from tramontane.answers.scan import any_of, unsure

NEWLINE = "\n"


@dataclass(frozen=True)
class Tags:
    """The tags of one syntax.

    closing: of a value. member: reads the opening of a member, and returns its name or None.
    stem: what such an opening begins with. nested: what an element in a text begins with that has
    the same closing. ends: what closes a call. openings: what opens one. line: whether members
    begin on lines of their own. trim: what may be around a value once.
    """

    closing: str
    member: Callable[[Scan], More[str | None]]
    stem: str
    nested: str
    ends: tuple[str, ...]
    openings: tuple[str, ...]
    line: bool = False
    trim: Literal["", "\n"] = ""
    text: Callable[[str], bool | None] = lambda opening: None
    """Whether a value is a text, where a member's opening says so."""

    @property
    def marks(self) -> tuple[str, ...]:
        return (self.closing, self.stem, self.nested, *self.ends, *self.openings)


class RawValue:
    """One value. left: the members that may still come, by their names; names: of the tools."""

    def __init__(self, scan: Scan, tags: Tags, left: Set[str]) -> None:
        self._scan, self._tags, self._left = scan, tags, left
        self._depth = 0
        self._maybe: tuple[int, int] | None = None
        """How many tags speak for an end of the value, and where that is."""

    def read(self, sink: Callable[[str], None]) -> More[bool]:
        """Pass the value on as it comes. Whether it ended before the text did."""
        scan, tags = self._scan, self._tags
        if tags.trim:
            yield from scan.literal(tags.trim)
        pattern = any_of(tags.marks)
        look = start = scan.at
        while True:
            found = pattern.search(scan.text, look)
            if found is None:
                look = len(scan.text) - (0 if scan.ended else unsure(scan.text, look, tags.marks))
                self._say(sink, look)
                if (yield from scan.more()):
                    continue
                return self._over(sink)
            place = found.start()
            if self._longer(place, found.end()) and (yield from scan.more()):
                continue
            self._say(sink, place)
            told, scan.at = scan.at, place
            sure = yield from self._ends_here(found[0], place == start)
            scan.at = told
            if sure:
                return self._stop(sink, place)
            look = found.end()

    def _longer(self, place: int, end: int) -> bool:
        """Whether the tag that was found may become another that begins so."""
        if end < len(self._scan.text):
            return False
        have = self._scan.text[place:]
        return any(mark != have and mark.startswith(have) for mark in self._tags.marks)

    def _say(self, sink: Callable[[str], None], stop: int, trim: str = NEWLINE) -> None:
        """What comes before a place, but for what may be trimmed there."""
        scan = self._scan
        if self._maybe is None:
            if trim and scan.text.endswith(trim, scan.at, stop):
                stop -= len(trim)
            if stop > scan.at:
                piece, scan.at = scan.text[scan.at : stop], stop
                sink(piece)

    def _stop(self, sink: Callable[[str], None], place: int) -> bool:
        """The value ends; a line that tags begin where the closing was forgotten is not its."""
        self._maybe = None
        closed = self._scan.text.startswith(self._tags.closing, place)
        self._say(sink, place, self._tags.trim if closed else NEWLINE)
        self._scan.at = place
        return True

    def _over(self, sink: Callable[[str], None]) -> bool:
        """The text is over, and nothing was sure to end the value."""
        if self._maybe is not None:
            return self._stop(sink, self._maybe[1])
        rest, self._scan.at = self._scan.text[self._scan.at :], len(self._scan.text)
        sink(rest)
        return False

    def _ends_here(self, mark: str, first: bool) -> More[bool]:
        """Whether the value is sure to end at `at`; where that cannot be known yet, it is noted."""
        scan, tags, place = self._scan, self._tags, self._scan.at
        if mark == tags.closing:
            scan.at += len(mark)
            yield from scan.blanks()
            if (yield from scan.literal(*tags.ends, *tags.openings)) or (
                yield from cut_off(scan, *tags.marks)
            ):
                return True
            key = yield from tags.member(scan)
            if key is not None and (self._depth == 0 or key in self._left):
                return True
            self._depth = max(0, self._depth - 1)
            if key is None:
                self._note(1, place)
        elif mark in tags.ends:
            count = 0
            while count < MARKS and (yield from scan.literal(*tags.ends)):
                count += 1
                yield from scan.blanks()
            if (yield from scan.literal(*tags.openings)) or (yield from cut_off(scan, *tags.marks)):
                return True
            self._note(1 + count, place)
        elif mark in tags.openings:
            return (yield from self._opens(place, first))
        else:
            key = yield from tags.member(scan) if mark == tags.stem else _nothing()
            if key in self._left and (first or not tags.line or _begins_line(scan, place)):
                return True
            if mark == tags.nested or tags.stem == tags.nested:
                self._depth += 1
        return False

    def _note(self, count: int, place: int) -> None:
        if self._maybe is None or count > self._maybe[0]:
            self._maybe = count, place

    def _opens(self, place: int, first: bool) -> More[bool]:
        """Whether a call of a tool that there is begins here, at the beginning of a line."""
        scan = self._scan
        for _ in range(MARKS):
            if not (yield from scan.literal(*self._tags.openings)):
                break
            yield from scan.blanks()
        name = yield from scan.before("<", ">", "\n", limit=128)
        named = re.sub(r'\s*name="([^"]*)"', r"\1", name or "").strip()
        return named in scan.tools and (first or _begins_line(scan, place))


def _begins_line(scan: Scan, place: int) -> bool:
    return scan.text[place - 1 : place] == "\n"


def _nothing() -> More[str | None]:
    return None
    yield
