"""Calls as Python would write them: Llama 4, and Liquid between marks.

`[get_weather(city="Oslo"), get_time(zone="CET")]`
"""

from __future__ import annotations

import json
import re

from tramontane.answers import More, Scan
from tramontane.answers.broken import fail
from tramontane.answers.json_text import separator

from .json_wrapped import close
from .python_literals import value

NAME, KEY = re.compile(r"\w[\w.:/-]*"), re.compile(r"\w[\w.-]*")
"""More than Python's: tools have such names whatever the syntax, `resolve-library-id` say."""
LIQUID, LIQUID_END = "<|tool_call_start|>", "<|tool_call_end|>"


def scan(scan: Scan) -> More[None]:
    while (found := (yield from scan.until("["))) is not None:
        start = scan.at
        if (yield from _list(scan)):
            yield from close(scan)
        else:
            scan.back(start, found)


def liquid(scan: Scan) -> More[None]:
    scan.closings = (LIQUID_END,)
    while (found := (yield from scan.until(LIQUID))) is not None:
        start = scan.at
        yield from scan.blanks()
        if (yield from scan.literal("[")) and (yield from _list(scan)):
            yield from close(scan, LIQUID_END)
        else:
            scan.back(start, found)


def _list(scan: Scan) -> More[bool]:
    """Calls up to the bracket. Whether there was one."""
    found = False
    while True:
        outcome = yield from _call(scan)
        if outcome is None:
            return found
        found = True
        if not outcome:
            return True
        if (yield from separator(scan, "]")) != ",":
            return True


def _call(scan: Scan) -> More[bool | None]:
    """One call: whether it is whole, None if it is none."""
    yield from scan.blanks()
    name = yield from _word(scan, NAME)
    if not name or not (yield from scan.literal("(")):
        return None
    first = yield from scan.blanks()
    key = "" if first == ")" else (yield from _key(scan))
    if first != ")" and not key:
        return None
    scan.start(name)
    scan.arguments("{")
    after = "," if key else ")"
    scan.at += not key
    while after == ",":
        scan.arguments(f"{json.dumps(key, ensure_ascii=False)}: ")
        after = (
            (yield from separator(scan, ")")) if (yield from value(scan, scan.arguments)) else ""
        )
        if after == ",":
            key = yield from _key(scan)
            after = "," if key else ""
            scan.arguments(", " if key else "")
    if not after:
        yield from fail(scan)
        return False
    scan.arguments("}")
    scan.end(whole=True)
    return True


def _key(scan: Scan) -> More[str]:
    """An argument's name and what stands between it and its value; "" if there is none."""
    key = yield from _word(scan, KEY)
    if not key or (yield from scan.blanks()) != "=":
        return ""
    scan.at += 1
    return key


def _word(scan: Scan, kind: re.Pattern[str]) -> More[str]:
    while True:
        found = kind.match(scan.text, scan.at)
        end = found.end() if found else scan.at
        if end < len(scan.text) or not (yield from scan.more()):
            scan.at = end
            return found[0] if found else ""
