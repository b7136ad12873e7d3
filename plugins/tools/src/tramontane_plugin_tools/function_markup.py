"""Qwen3-Coder, Qwen3.5 and Nemotron 3: elements named by what they are equal to.

`<tool_call><function=get_weather><parameter=city>Oslo</parameter></function></tool_call>`, on lines
of their own.
"""

from __future__ import annotations

from tramontane.answers import More, Scan

from .json_wrapped import close
from .markup import NEWLINE, Members

OPENING, CLOSING = "<tool_call>", "</tool_call>"
FUNCTION, FUNCTION_END = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"


def scan(scan: Scan) -> More[None]:
    """A function without the element around it is a call too."""
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
        yield from _parameters(scan, Members(scan, name.strip()))
        yield from close(scan, FUNCTION_END, CLOSING)


def _parameters(scan: Scan, members: Members) -> More[None]:
    while True:
        yield from scan.blanks()
        if (yield from scan.literal(FUNCTION_END, CLOSING)):
            members.end()
            return
        if not (yield from scan.literal(PARAMETER)):
            return scan.end(whole=False)
        key = yield from scan.before(">", NEWLINE)
        if key is None or not scan.text.startswith(">", scan.at):
            return scan.end(whole=False)
        scan.at += 1
        if not (yield from members.member(key.strip(), PARAMETER_END, trim=NEWLINE)):
            return scan.end(whole=False)
        yield from scan.literal(PARAMETER_END)
