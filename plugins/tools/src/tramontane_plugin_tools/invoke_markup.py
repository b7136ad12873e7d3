"""MiniMax M2, DeepSeek V3.2 and V4: `<invoke name="get_weather">` and a parameter element for each.

DeepSeek's elements begin with `｜DSML｜` and say whether a value is a text: `string="true"`.
"""

from __future__ import annotations

import re

from tramontane.answers import More, Scan

from .json_wrapped import close
from .markup import Members

NAME = re.compile(r'\s*name="([^"]*)"')
STRING = re.compile(r'string="(true|false)"')


def minimax(scan: Scan) -> More[None]:
    return calls(scan, "", "minimax:tool_call")


def deepseek_v32(scan: Scan) -> More[None]:
    return calls(scan, "｜DSML｜", "｜DSML｜function_calls")


def deepseek_v4(scan: Scan) -> More[None]:
    return calls(scan, "｜DSML｜", "｜DSML｜tool_calls")


def calls(scan: Scan, prefix: str, around: str) -> More[None]:
    """prefix: of the inner elements' names. around: the name of the outer element."""
    outer, invoke = f"<{around}>", f"<{prefix}invoke"
    scan.breaks = (outer,)
    while (found := (yield from scan.until(outer, invoke))) is not None:
        start = scan.at
        if found == outer:
            yield from scan.blanks()
            if not (yield from scan.literal(invoke)):
                scan.back(start, found)
                continue
        name = yield from _attribute(scan)
        if not name:
            scan.back(start, found)
            continue
        yield from _parameters(scan, prefix, Members(scan, name[0]))
        yield from close(scan, f"</{around}>", f"</{prefix}invoke>")


def _attribute(scan: Scan) -> More[tuple[str, str] | None]:
    """The name that an element has, and all that stands beside it."""
    inside = yield from scan.before(">", "<")
    if inside is None or not scan.text.startswith(">", scan.at):
        return None
    scan.at += 1
    found = NAME.match(inside)
    return (found[1], inside[found.end() :]) if found and found[1] else None


def _parameters(scan: Scan, prefix: str, members: Members) -> More[None]:
    while True:
        yield from scan.blanks()
        if (yield from scan.literal(f"</{prefix}invoke>")):
            return members.end()
        if not (yield from scan.literal(f"<{prefix}parameter")):
            return scan.end(whole=False)
        found = yield from _attribute(scan)
        if found is None:
            return scan.end(whole=False)
        said = STRING.search(found[1])
        text = said[1] == "true" if said else None
        if not (yield from members.member(found[0], f"</{prefix}parameter>", text=text)):
            return scan.end(whole=False)
        yield from scan.literal(f"</{prefix}parameter>")
