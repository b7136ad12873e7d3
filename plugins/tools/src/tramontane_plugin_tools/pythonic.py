"""Calls as Python would write them: Llama 4, and Liquid between marks.

`[get_weather(city="Oslo"), get_time(zone="CET")]`
"""

from __future__ import annotations

import json
import re

from tramontane.answers import More, Scan
from tramontane.answers.json_text import value

from .json_wrapped import close

NAME, KEY = re.compile(r"\w[\w.:/-]*"), re.compile(r"\w[\w.-]*")
"""More than Python's: tools have such names whatever the syntax, `resolve-library-id` say."""
LIQUID, LIQUID_END = "<|tool_call_start|>", "<|tool_call_end|>"


def scan(scan: Scan) -> More[None]:
    while (found := (yield from scan.until("["))) is not None:
        start = scan.at
        if not (yield from _list(scan)):
            scan.back(start, found)


def liquid(scan: Scan) -> More[None]:
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
        after = yield from scan.blanks()
        if after not in (",", "]"):
            return True
        scan.at += 1
        if after == "]":
            return True


def _call(scan: Scan) -> More[bool | None]:
    """One call: whether it is whole, None if it is none."""
    yield from scan.blanks()
    name = yield from _word(scan, NAME)
    if not name or not (yield from scan.literal("(")):
        return None
    first = yield from scan.blanks()
    key = ""
    if first != ")":
        key = yield from _word(scan, KEY)
        if not key or (yield from scan.blanks()) != "=":
            return None
    scan.start(name)
    scan.arguments("{")
    while first != ")":
        scan.at += 1
        scan.arguments(f"{json.dumps(key, ensure_ascii=False)}: ")
        if not (yield from value(scan, scan.arguments)):
            break
        first = yield from scan.blanks()
        if first == ",":
            scan.at += 1
            first = yield from scan.blanks()
            if first != ")":
                key = yield from _word(scan, KEY)
                if not key or (yield from scan.blanks()) != "=":
                    break
                scan.arguments(", ")
        elif first != ")":
            break
    if first != ")":
        scan.end(whole=False)
        return False
    scan.at += 1
    scan.arguments("}")
    scan.end(whole=True)
    return True


def _word(scan: Scan, kind: re.Pattern[str]) -> More[str]:
    while True:
        found = kind.match(scan.text, scan.at)
        end = found.end() if found else scan.at
        if end < len(scan.text) or not (yield from scan.more()):
            scan.at = end
            return found[0] if found else ""
