"""GLM 4.5 to 4.7: the name, then keys and values in turn.

`<tool_call>get_weather<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>`
"""

from __future__ import annotations

import re

from tramontane.answers import More, Scan

from .json_wrapped import close
from .markup import Members

OPENING, CLOSING = "<tool_call>", "</tool_call>"
KEY, KEY_END = "<arg_key>", "</arg_key>"
VALUE, VALUE_END = "<arg_value>", "</arg_value>"
NAME = re.compile(r"\s*[\w.:/-]+\s*")


def scan(scan: Scan) -> More[None]:
    while (found := (yield from scan.until(OPENING))) is not None:
        start = scan.at
        name = yield from scan.before(KEY, CLOSING)
        if name is None or not NAME.fullmatch(name):
            scan.back(start, found)
            continue
        yield from _pairs(scan, Members(scan, name.strip()))
        yield from close(scan, CLOSING)


def _pairs(scan: Scan, members: Members) -> More[None]:
    while True:
        yield from scan.blanks()
        if (yield from scan.literal(CLOSING)):
            return members.end()
        if not (yield from scan.literal(KEY)):
            return scan.end(whole=False)
        key = yield from scan.before(KEY_END)
        if key is None:
            return scan.end(whole=False)
        scan.at += len(KEY_END)
        yield from scan.blanks()
        if not (yield from scan.literal(VALUE)):
            return scan.end(whole=False)
        if not (yield from members.member(key.strip(), VALUE_END)):
            return scan.end(whole=False)
        yield from scan.literal(VALUE_END)
