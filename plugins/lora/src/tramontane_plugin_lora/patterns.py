"""Patterns of module names in an adapter's file, which are regular expressions of strangers.

peft takes the first pattern with `re.match(rf"(.*\\.)?({pattern})$", name)`. The same is computed
here with sets of places in the name, whose number bounds the time: no pattern makes it go back and
forth. A set is an integer, bit i for the place before character i.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

LONGEST = 512
"""Characters of a pattern."""
MOST = 4096
"""Patterns of one setting: some adapters have one for each module."""
DEEPEST = 3
"""Repeated parts within each other."""
NESTED = 40
"""Groups within each other."""
STEPS = 3_000_000
"""Characters that all patterns of an adapter look at together: some seconds."""
PLAIN = re.compile(r"[\w.]+")
"""A pattern that is a name, in which only a dot means more than itself."""
MOST_REPEATS = 1000
ATOM = re.compile(r"\\[dDwWsS]|\\[^A-Za-z0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\()|*+?{}^$\[]")
COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
OPENING = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
Places: TypeAlias = Callable[[int, str], int]
"""(places, name) -> the places where the part may end that begins at one of them."""


class Pattern:
    """One pattern. Raises ValueError, re.error for what is none, and for what has no such bound:
    looking around, going back to groups, and too much of anything."""

    def __init__(self, text: str, left: list[int] | None = None) -> None:
        """left: how many characters may still be looked at; it counts down."""
        if len(text) > LONGEST:
            raise ValueError(f"it has {len(text)} characters, and {LONGEST} are the most")
        self._plain = re.compile(rf"(.*\.)?({text})$") if PLAIN.fullmatch(text) else None
        if self._plain is not None:
            return
        re.compile(text)
        self._text, self._at, self._depth, self._nested = text, 0, 0, 0
        self._left = [STEPS] if left is None else left
        self._ends = self._either()
        if self._at != len(text):
            raise ValueError(f"{text[self._at : self._at + 8]!r} is not supported in a pattern")

    def matches(self, name: str) -> bool:
        """Whether it is the name, or its end after a dot. Raises ValueError where the characters
        that may be looked at do not suffice."""
        if self._plain is not None:
            return self._plain.match(name) is not None
        begins = 1 | sum(1 << i + 1 for i, char in enumerate(name) if char == ".")
        return bool(self._ends(begins, name) >> len(name) & 1)

    def _either(self) -> Places:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]

        def either(places: int, name: str) -> int:
            found = 0
            for part in parts:
                found |= part(places, name)
            return found

        return either

    def _sequence(self) -> Places:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated())

        def sequence(places: int, name: str) -> int:
            for part in parts:
                if not places:
                    break
                places = part(places, name)
            return places

        return sequence

    def _repeated(self) -> Places:
        depth = self._depth
        self._depth = 0
        part = self._one()
        least, most = self._count()
        if (least, most) == (1, 1):
            self._depth = max(depth, self._depth)
            return part
        if most != 1:
            self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} repeated parts are within each other")
        self._depth = max(depth, self._depth)

        def repeated(places: int, name: str) -> int:
            for _ in range(least):
                before, places = places, part(places, name)
                if places in (0, before):
                    break
            found, count = places, least
            while places and (most is None or count < most):
                places = part(places, name) & ~found
                found, count = found | places, count + 1
            return found

        return repeated

    def _count(self) -> tuple[int, int | None]:
        least, most = 1, 1
        told: int | None
        if self._take("*"):
            least, told = 0, None
        elif self._take("+"):
            told = None
        elif self._take("?"):
            least, told = 0, 1
        elif (count := COUNT.match(self._text, self._at)) and (count[1] or count[3]):
            self._at = count.end()
            least = int(count[1] or 0)
            told = (int(count[3]) if count[3] else None) if count[2] else least
            if max(least, told or 0) > MOST_REPEATS:
                raise ValueError(f"{count[0]} repeats more than {MOST_REPEATS} times")
        else:
            return least, most
        self._take("?")  # the shortest first: of what matches at all that changes nothing
        return least, told

    def _one(self) -> Places:
        if self._take("^"):
            return lambda places, name: places & 1
        if self._take("$"):
            return lambda places, name: places & 1 << len(name)
        if opening := OPENING.match(self._text, self._at):
            self._at, self._nested = opening.end(), self._nested + 1
            if self._nested > NESTED:
                raise ValueError(f"more than {NESTED} groups are within each other")
            inner = self._either()
            if not self._take(")"):
                raise ValueError("a group has no end")
            self._nested -= 1
            return inner
        if self._text[self._at] == "{":  # which counts nothing here
            atom = "\\{"
            self._at += 1
        elif found := ATOM.match(self._text, self._at):
            atom, self._at = found[0], found.end()
        elif self._text[self._at] == "}":
            atom, self._at = "\\}", self._at + 1
        else:
            raise ValueError(f"{self._text[self._at : self._at + 8]!r} is not supported here")
        char, left = re.compile(atom), self._left

        def one(places: int, name: str) -> int:
            found = 0
            while places:
                at = places & -places
                places ^= at
                left[0] -= 1
                if left[0] < 0:
                    raise ValueError("with the others it takes too long: write names instead")
                index = at.bit_length() - 1
                if index < len(name) and char.match(name, index, index + 1):
                    found |= at << 1
            return found

        return one

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found
