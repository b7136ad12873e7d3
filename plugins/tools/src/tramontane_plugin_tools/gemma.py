"""Gemma 4: `<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>}<tool_call|>`.

Keys stand bare, and strings between `<|"|>`, in which nothing is escaped.
"""

from __future__ import annotations

import re

from tramontane.answers import More, Scan
from tramontane.answers.calls_json import arguments
from tramontane.answers.json_text import Style

from .json_wrapped import close

OPENING, CLOSING, QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
STYLE = Style(quotes=(QUOTE, '"'), raw=(QUOTE,), bare_keys=True)
NAME = re.compile(r"[\w.:/-]+")


def scan(scan: Scan) -> More[None]:
    scan.breaks, scan.closings = (OPENING,), (CLOSING,)
    while (found := (yield from scan.until(OPENING))) is not None:
        start = scan.at
        name = None
        yield from scan.blanks()
        if (yield from scan.literal("call:")):
            name = yield from scan.before("{", CLOSING)
        if (
            name
            and NAME.fullmatch(name)
            and (yield from arguments(scan, name, style=STYLE)) != "none"
        ):
            yield from close(scan, CLOSING)
        else:
            scan.back(start, found)
