"""MiniMax M2, DeepSeek V3.2 and V4: `<invoke name="get_weather">` and a parameter element for each.

DeepSeek's elements begin with `｜DSML｜` and say whether a value is a text: `string="true"`.
"""

from __future__ import annotations

import re

from tramontane.answers import More, Scan

from .json_wrapped import close
from .markup import Members
from .raw_value import Tags

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
    tags = _tags(prefix, around)
    scan.breaks, scan.closings = (outer,), tags.ends
    while (found := (yield from scan.until(outer, invoke))) is not None:
        start = scan.at
        if found == outer:
            yield from scan.blanks()
            if not (yield from scan.literal(invoke)):
                scan.back(start, found)
                continue
        name = yield from _named(scan)
        if not name:
            scan.back(start, found)
            continue
        yield from Members(scan, name, tags).read()
        yield from close(scan, f"</{around}>", f"</{prefix}invoke>")


def _tags(prefix: str, around: str) -> Tags:
    stem = f"<{prefix}parameter"

    def member(scan: Scan) -> More[str | None]:
        return (yield from _named(scan)) if (yield from scan.literal(stem)) else None

    return Tags(
        closing=f"</{prefix}parameter>",
        member=member,
        stem=stem,
        nested=stem,
        ends=(f"</{prefix}invoke>", f"</{around}>"),
        openings=(f"<{around}>", f"<{prefix}invoke"),
        line=not prefix,
        text=_is_text,
    )


def _is_text(opening: str) -> bool | None:
    said = STRING.search(opening)
    return said[1] == "true" if said else None


def _named(scan: Scan) -> More[str | None]:
    """The name that an element has; the rest of its opening is skipped."""
    inside = yield from scan.before(">", "<")
    if inside is None or not scan.text.startswith(">", scan.at):
        return None
    scan.at += 1
    found = NAME.match(inside)
    return found[1] if found and found[1] else None
