"""Arguments written as markup, one element each: they become a JSON object as they come.

A text's type is what the tool's parameters say of it. Texts are passed on piece by piece; other
values when they are whole, as a number's digits may turn out to be words.
"""

from __future__ import annotations

import json
from typing import Any

from tramontane.answers import More, Scan
from tramontane.answers.json_text import inside, mended

NEWLINE = "\n"


class Members:
    """The object of one call's arguments, which grows member by member."""

    def __init__(self, scan: Scan, name: str, id: str = "") -> None:
        self.scan = scan
        tool = scan.tools.get(name)
        properties = (tool.parameters if tool else {}).get("properties", {})
        self.properties: dict[str, Any] = properties if isinstance(properties, dict) else {}
        self._first = True
        scan.start(name, id)
        scan.arguments("{")

    def end(self) -> None:
        self.scan.arguments("}")
        self.scan.end(whole=True)

    def key(self, key: str) -> None:
        before = "" if self._first else ", "
        self._first = False
        self.scan.arguments(f"{before}{json.dumps(key, ensure_ascii=False)}: ")

    def is_text(self, key: str) -> bool:
        """Whether a member can only be a text."""
        found = self.properties.get(key)
        return isinstance(found, dict) and found.get("type") == "string"

    def member(self, key: str, *ends: str, text: bool | None = None, trim: str = "") -> More[bool]:
        """A value up to one of `ends`, which is not skipped. Whether that came.

        text: whether it is one; None: what the parameters say. trim: what may be around it once.
        """
        self.key(key)
        if self.is_text(key) if text is None else text:
            return (yield from self._text(ends, trim))
        parts: list[str] = []
        whole = yield from self.scan.pass_on(parts.append, *ends)
        if whole:
            self.scan.arguments(typed("".join(parts).removeprefix(trim).removesuffix(trim)))
        return whole

    def _text(self, ends: tuple[str, ...], trim: str) -> More[bool]:
        self.scan.arguments('"')
        if trim:
            yield from self.scan.literal(trim)
        closings = (*(trim + end for end in ends), *ends) if trim else ends
        whole = yield from self.scan.pass_on(
            lambda piece: self.scan.arguments(inside(piece)), *closings
        )
        if whole:
            self.scan.arguments('"')
            if not self.scan.text.startswith(ends, self.scan.at):
                self.scan.at += len(trim)
        return whole


def typed(said: str) -> str:
    """JSON text of a value that is not known to be a text: it is one if it is nothing else."""
    found = mended(said)
    return json.dumps(said, ensure_ascii=False) if found is None else found
