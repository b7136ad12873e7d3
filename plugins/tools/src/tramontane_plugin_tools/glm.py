"""GLM 4.5 to 4.7: the name, then keys and values in turn.

`<tool_call>get_weather<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>`
"""

from __future__ import annotations

import re

from tramontane.answers import More, Scan

from .json_wrapped import close
from .markup import Members
from .raw_value import Tags

OPENING, CLOSING = "<tool_call>", "</tool_call>"
KEY, KEY_END = "<arg_key>", "</arg_key>"
VALUE, VALUE_END = "<arg_value>", "</arg_value>"
NAME = re.compile(r"\s*[\w.:/-]+\s*")


def _member(scan: Scan) -> More[str | None]:
    if not (yield from scan.literal(KEY)):
        return None
    key = yield from scan.before(KEY_END)
    if key is None:
        return None
    scan.at += len(KEY_END)
    yield from scan.blanks()
    return key.strip() if (yield from scan.literal(VALUE)) else None


TAGS = Tags(
    closing=VALUE_END,
    member=_member,
    stem=KEY,
    nested="<arg_value",
    ends=(CLOSING,),
    openings=(OPENING,),
)


def scan(scan: Scan) -> More[None]:
    scan.closings = TAGS.ends
    while (found := (yield from scan.until(OPENING))) is not None:
        start = scan.at
        name = yield from scan.before(KEY, CLOSING)
        if name is None or not NAME.fullmatch(name):
            scan.back(start, found)
            continue
        yield from Members(scan, name.strip(), TAGS).read()
        yield from close(scan, CLOSING)
