"""The last resort: JSON objects that call one of the tools, wherever they stand, fenced or not."""

from __future__ import annotations

from tramontane.answers import More, Scan
from tramontane.answers.calls_json import calls

from .json_wrapped import close

FENCES = ("```json\n", "```\n", "<tool_call>")


def scan(scan: Scan) -> More[None]:
    while (found := (yield from scan.until(*FENCES, "{", "["))) is not None:
        start = scan.at
        bare = len(found) == 1
        scan.at -= bare
        if not (yield from calls(scan, between=(",", ";"), known=True)):
            scan.back(start, found)
        elif bare:
            yield from close(scan)
        else:
            yield from close(scan, "```", "</tool_call>")
