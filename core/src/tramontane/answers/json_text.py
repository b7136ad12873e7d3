"""JSON as models write it, read while it comes and passed on as JSON proper.

Passed on is `{"a": 1, "b": [true]}`, whatever blanks there were. What models get wrong and what has
one meaning only is mended: Python's True, False and None, single quotes, control characters and
unknown escapes in strings, a comma too many. What has none is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from .broken import closes, marks, next_call
from .scan import More, Scan

DEEPEST = 64
LONGEST_NUMBER = 1000
"""Digits; Python refuses to read more than some thousands. Nor is a number taken that is beyond a
double's range: it would be read as infinity, which JSON does not have."""
Sink = Callable[[str], None]
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
NUMERIC = re.compile(r"[-+0-9.eE]*")
WORD = re.compile(r"[A-Za-z_]*")
BARE_KEY = re.compile(r"[\w.$-]*")
HEX = re.compile("[0-9a-fA-F]*")
LITERALS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false",
            "None": "null"}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """quotes: what strings may stand between. raw: those in which a backslash is a backslash."""

    quotes: tuple[str, ...] = ('"', "'")
    raw: tuple[str, ...] = ()
    bare_keys: bool = False


PLAIN = Style()


def value(scan: Scan, sink: Sink, style: Style = PLAIN, depth: int = 0) -> More[bool]:
    """One value, passed on as it is read. False: cut off or no JSON, at the place where it is."""
    first = yield from scan.blanks()
    if depth > DEEPEST:
        return False
    if first == "{":
        return (yield from _members(scan, sink, style, depth))
    if first == "[":
        return (yield from _items(scan, sink, style, depth))
    if first and (first in "-+." or first.isdigit()):
        return (yield from _number(scan, sink))
    for quote in style.quotes:
        if (yield from scan.literal(quote)):
            return (yield from _string(scan, sink, quote, quote in style.raw))
    start = scan.at
    word = yield from _run(scan, WORD)
    if word not in LITERALS:
        scan.at = start
        return False
    sink(LITERALS[word])
    return True


def mended(said: str) -> str | None:
    """A text that is one value and nothing else, as JSON proper; None if it is not."""
    scan = Scan()
    scan.text, scan.ended = said, True
    parts: list[str] = []
    reading = value(scan, parts.append)
    try:
        next(reading)  # it never waits, as all has come
    except StopIteration as end:
        return "".join(parts) if end.value and not said[scan.at :].strip() else None
    return None


def text(scan: Scan, style: Style = PLAIN) -> More[str | None]:
    """One string, decoded; None if there is none here, or it is not whole."""
    parts: list[str] = []
    yield from scan.blanks()
    for quote in style.quotes:
        if (yield from scan.literal(quote)):
            if (yield from _string(scan, parts.append, quote, quote in style.raw)):
                return str(json.loads("".join(parts), strict=False))
            return None
    return None


def key(scan: Scan, style: Style = PLAIN) -> More[str | None]:
    """A member's name and the colon after it."""
    name = yield from text(scan, style)
    if name is None and style.bare_keys:
        name = (yield from _run(scan, BARE_KEY)) or None
    if name is None or (yield from scan.blanks()) != ":":
        return None
    scan.at += 1
    return name


def separator(scan: Scan, closing: str) -> More[str]:
    """What follows a member or an item: "," if another comes, the closing, or "" for neither.

    The closing is taken as written where the call is closed without it."""
    after = yield from scan.blanks()
    if after == ",":
        scan.at += 1
        after = yield from scan.blanks()
        if after and after != closing:
            return ","
    if after == closing:
        scan.at += 1
        return closing
    return closing if (yield from closes(scan)) else ""


def _members(scan: Scan, sink: Sink, style: Style, depth: int) -> More[bool]:
    scan.at += 1
    sink("{")
    if (yield from scan.blanks()) == "}":
        scan.at += 1
        sink("}")
        return True
    while True:
        name = yield from key(scan, style)
        if name is None:
            return False
        sink(f"{json.dumps(name, ensure_ascii=False)}: ")
        if not (yield from value(scan, sink, style, depth + 1)):
            return False
        after = yield from separator(scan, "}")
        if after != ",":
            sink(after)
            return after == "}"
        sink(", ")


def _items(scan: Scan, sink: Sink, style: Style, depth: int) -> More[bool]:
    scan.at += 1
    sink("[")
    if (yield from scan.blanks()) == "]":
        scan.at += 1
        sink("]")
        return True
    while True:
        if not (yield from value(scan, sink, style, depth + 1)):
            return False
        after = yield from separator(scan, "]")
        if after != ",":
            sink(after)
            return after == "]"
        sink(", ")


def _number(scan: Scan, sink: Sink) -> More[bool]:
    start = scan.at
    said = yield from _run(scan, NUMERIC)
    fits = len(said) <= LONGEST_NUMBER and NUMBER.fullmatch(said) is not None
    if not fits or not (said.lstrip("-").isdigit() or math.isfinite(float(said))):
        scan.at = start
        return False
    sink(said)
    return True


def _run(scan: Scan, pattern: re.Pattern[str]) -> More[str]:
    """All that comes of a pattern, which matches any beginning of what it matches."""
    start = scan.at
    while True:
        found = pattern.match(scan.text, start)
        assert found is not None
        if found.end() < len(scan.text) or not (yield from scan.more()):
            scan.at = found.end()
            return found[0]


def _string(scan: Scan, sink: Sink, quote: str, raw: bool) -> More[bool]:
    sink('"')
    others = marks(scan)
    ends = (quote, *others) if raw else (quote, "\\", *others)
    while True:
        if not (yield from scan.pass_on(lambda piece: sink(inside(piece)), *ends)):
            return False
        if (yield from scan.literal(quote)):
            sink('"')
            return True
        mark = next((one for one in others if scan.text.startswith(one, scan.at)), "")
        if mark:
            if (yield from next_call(scan)):
                return False
            scan.at += len(mark)
            sink(inside(mark))
            continue
        scan.at += 1
        if not (yield from _escape(scan, sink)):
            return False


def inside(text: str) -> str:
    """A text as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escape(scan: Scan, sink: Sink) -> More[bool]:
    """What follows a backslash."""
    said = yield from scan.peek()
    if not said:
        return False
    scan.at += 1
    if said == "u":
        start = scan.at
        while len(scan.text) < start + 4 and HEX.fullmatch(scan.text, start):
            if not (yield from scan.more()):
                return False
        if not HEX.fullmatch(scan.text[start : start + 4]):
            sink("\\\\u")
            return True
        scan.at += 4
        sink(f"\\u{scan.text[start : start + 4]}")
    elif said in '"\\/bfnrt':
        sink(f"\\{said}")
    else:  # an escape that JSON does not have
        sink("'" if said == "'" else inside("\\" + said))
    return True
