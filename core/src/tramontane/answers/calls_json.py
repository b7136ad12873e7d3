"""Calls written as JSON objects: a name and arguments."""

from __future__ import annotations

import json
from typing import Literal, TypeAlias

from .broken import closes, cut_off, fail
from .json_text import PLAIN, Style, key, mended, separator, text, value
from .scan import More, Scan

NAMES = ("name", "tool_name", "function")
ARGUMENTS = ("arguments", "parameters")
Outcome: TypeAlias = Literal["none", "cut", "whole"]
"""none: it is no call, and nothing was found. cut: it began, and is not whole."""


def arguments(scan: Scan, name: str, id: str = "", style: Style = PLAIN) -> More[Outcome]:
    """The arguments of a call whose name is known: an object, passed on as it comes. Where the
    call is closed without any, they are `{}`."""
    if (yield from scan.blanks()) != "{":
        if not (yield from closes(scan)):
            return "none"
        scan.call(name, "{}", id)
        return "whole"
    scan.start(name, id)
    if (yield from value(scan, scan.arguments, style)):
        scan.end(whole=True)
        return "whole"
    if (yield from cut_off(scan, *style.quotes)):
        scan.at = len(scan.text)
    yield from fail(scan)
    return "cut"


def call_object(scan: Scan, known: bool = False, inner: bool = False) -> More[Outcome]:
    """`{"name": "get_weather", "arguments": {"city": "Oslo"}}`, its members in any order.

    known: only a call of one of the tools is one, and nothing else is in it.
    inner: it is the `function` of a call.
    """
    if (yield from scan.blanks()) != "{":
        return "none"
    scan.at += 1
    name, id, held = "", "", "{}"
    while True:
        member = yield from key(scan)
        if member is None:
            return "none"
        if member == "function" and not inner and (yield from scan.blanks()) == "{":
            return (yield from _rest(scan, (yield from call_object(scan, known, inner=True))))
        if member in NAMES or member == "id":
            said = yield from text(scan)
            if said is None or (member != "id" and known and said not in scan.tools):
                return "none"
            name, id = (name, said) if member == "id" else (said, id)
        elif member in ARGUMENTS:
            opening = yield from scan.blanks()
            if name and opening == "{":
                return (yield from _rest(scan, (yield from arguments(scan, name, id))))
            found = "{}" if opening and opening in ",}" else (yield from _held(scan))
            if found is None:
                return "none"
            held = found
        elif (known and member != "type") or not (yield from value(scan, _nothing)):
            return "none"
        after = yield from separator(scan, "}")
        if after == "}" and name:
            scan.call(name, held, id)
            return "whole"
        if after != ",":
            return "none"


def _held(scan: Scan) -> More[str | None]:
    """Arguments before the name, as JSON in a string, or none: passed on when they are whole."""
    parts: list[str] = []
    if not (yield from value(scan, parts.append)):
        return None
    found = "".join(parts)
    if found.startswith('"'):
        said = json.loads(found).strip()
        found = mended(said or "{}") or ""
    if found == "null":
        return "{}"
    return found if found.startswith("{") else None


def _rest(scan: Scan, outcome: Outcome) -> More[Outcome]:
    """Members after the arguments, up to the brace."""
    while outcome == "whole":
        if (yield from separator(scan, "}")) != ",":
            break
        if (yield from key(scan)) is None or not (yield from value(scan, _nothing)):
            break
    return outcome


def _nothing(text: str) -> None:
    pass


def calls(scan: Scan, between: tuple[str, ...] = (), known: bool = False) -> More[bool]:
    """One object, several with a text of `between` between them, or a list of objects.

    Whether there was a call; then `at` is after the last.
    """
    listed = (yield from scan.blanks()) == "["
    if listed:
        scan.at += 1
    found = False
    while True:
        outcome = yield from call_object(scan, known)
        if outcome != "whole":
            return found or outcome == "cut"
        found = True
        place = scan.at
        if listed:
            if (yield from separator(scan, "]")) != ",":
                return True
            continue
        yield from scan.blanks()
        if not between or not (yield from scan.literal(*between)):
            scan.at = place
            return True
        if (yield from scan.blanks()) != "{":
            return True
