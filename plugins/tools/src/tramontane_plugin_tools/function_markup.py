"""Qwen3-Coder, Qwen3.5 and Nemotron 3: elements named by what they are equal to.

`<tool_call><function=get_weather><parameter=city>Oslo</parameter></function></tool_call>`, on lines
of their own.
"""

from __future__ import annotations

from tramontane.answers import More, Scan

from .json_wrapped import close
from .markup import Members
from .raw_value import NEWLINE, Tags

OPENING, CLOSING = "<tool_call>", "</tool_call>"
FUNCTION, FUNCTION_END = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"


def _member(scan: Scan) -> More[str | None]:
    if not (yield from scan.literal(PARAMETER)):
        return None
    key = yield from scan.before(">", NEWLINE)
    if key is None or not scan.text.startswith(">", scan.at):
        return None
    scan.at += 1
    return key.strip()


TAGS = Tags(
    closing=PARAMETER_END,
    member=_member,
    stem=PARAMETER,
    nested="<parameter",
    ends=(FUNCTION_END, CLOSING),
    openings=(OPENING, FUNCTION),
    line=True,
    trim="\n",
)


def scan(scan: Scan) -> More[None]:
    """A function without the element around it is a call too."""
    scan.closings = TAGS.ends
    while (found := (yield from scan.until(OPENING, FUNCTION))) is not None:
        start = scan.at
        if found == OPENING:
            yield from scan.blanks()
            if not (yield from scan.literal(FUNCTION)):
                scan.back(start, found)
                continue
        name = yield from scan.before(">", NEWLINE)
        if not name or not scan.text.startswith(">", scan.at):
            scan.back(start, found)
            continue
        scan.at += 1
        yield from Members(scan, name.strip(), TAGS).read()
        yield from close(scan, FUNCTION_END, CLOSING)
