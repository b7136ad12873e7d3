"""Arguments written as markup, one element each: they become a JSON object as they come.

A value is null, a boolean, a number, a list or an object only where the tool's parameters admit
that type; else it is a text, whatever it looks like. Texts are passed on piece by piece; other
values when they are whole, as a number's digits may turn out to be words.
"""

from __future__ import annotations

import json
from typing import Any

from tramontane.answers import More, Scan
from tramontane.answers.broken import cut_off, fail
from tramontane.answers.json_text import inside, mended

from .raw_value import RawValue, Tags
from .schema_types import TYPES, known_members, member_types

WORDS = ("null", "None", "true", "True", "false", "False")
"""How a null and booleans are written; what begins with none of these is a text, where only texts,
nulls and booleans are admitted."""
FIRST = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}


class Members:
    """The object of one call's arguments, which grows member by member."""

    def __init__(self, scan: Scan, name: str, tags: Tags, id: str = "") -> None:
        self.scan, self.tags = scan, tags
        tool = scan.tools.get(name)
        self.parameters: Any = tool.parameters if tool else {}
        self.left = set(known_members(self.parameters))
        self.count = 0
        scan.start(name, id)
        scan.arguments("{")

    @property
    def full(self) -> bool:
        """Whether all members that the tool has are there, so that only marks can follow."""
        return self.count > 0 and not self.left and bool(known_members(self.parameters))

    def end(self) -> None:
        self.scan.arguments("}")
        self.scan.end(whole=True)

    def read(self) -> More[None]:
        """All members, up to what closes the call, which is skipped, or what can only follow it."""
        scan, tags = self.scan, self.tags
        while True:
            first = yield from scan.blanks()
            place = scan.at
            if (yield from scan.literal(*tags.ends)):
                return self.end()
            key = yield from tags.member(scan)
            if key is None:
                scan.at = place
                if (yield from cut_off(scan, *tags.marks)):
                    scan.at = len(scan.text)
                    return self.end() if self.full else scan.end(whole=False)
                if self.count and first and not (yield from scan.literal(tags.stem)):
                    return self.end()  # the call's own closing is forgotten
                scan.at = place
                return (yield from fail(scan, to_the_end=scan.text.startswith(tags.stem, place)))
            if not (yield from self.member(key, tags.text(scan.text[place : scan.at]))):
                return scan.end(whole=False)
            yield from scan.literal(tags.closing)

    def member(self, key: str, text: bool | None = None) -> More[bool]:
        """A value up to what ends it, which is not skipped. Whether that came.

        text: whether it is one, where the markup says so; None: what the parameters admit.
        """
        before = ", " if self.count else ""
        self.count += 1
        self.left.discard(key)
        self.scan.arguments(f"{before}{json.dumps(key, ensure_ascii=False)}: ")
        types = frozenset({"string"}) if text else member_types(self.parameters, key)
        value = _Value(self.scan, types or frozenset({"string"}), quoted=text is False)
        whole = yield from RawValue(self.scan, self.tags, self.left).read(value.add)
        if whole:
            value.end()
        return whole


class _Value:
    """Passes one value on. quoted: whether a text is written in quotes."""

    def __init__(self, scan: Scan, types: frozenset[str], quoted: bool) -> None:
        self._scan, self._types = scan, types
        self._quoted = quoted or (bool(types - {"string", "null"}) and "string" in types)
        self._held = ""
        self._text = False
        self.add("")

    def add(self, piece: str) -> None:
        if not self._text:
            self._held += piece
            if self._quoted or "string" not in self._types or self._may_be_a_word():
                return
            self._text, piece = True, self._held
            self._scan.arguments('"')
        self._scan.arguments(inside(piece))

    def _may_be_a_word(self) -> bool:
        said = self._held.strip()
        return self._types != {"string"} and any(word.startswith(said) for word in WORDS)

    def end(self) -> None:
        if self._text:
            self._scan.arguments('"')
        else:
            self._scan.arguments(typed(self._held, self._types, self._quoted))


def typed(said: str, types: frozenset[str] = TYPES, quoted: bool = True) -> str:
    """JSON text of a value: a text if it is nothing else that is admitted.

    quoted: whether a text in quotes is what stands between them.
    """
    found = mended(said)
    kind = "" if found is None else FIRST.get(found[0], "number")
    if found is not None and (quoted if kind == "string" else kind in types):
        return found
    return json.dumps(said, ensure_ascii=False)
