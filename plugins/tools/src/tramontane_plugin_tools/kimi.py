"""Kimi K2: `functions.get_weather:0<|tool_call_argument_begin|>{"city": "Oslo"}` between marks.

What stands before the arguments is the call's id, as the model expects it back with the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tramontane.answers import More, Scan
from tramontane.answers.calls_json import arguments
from tramontane.tools import Tool

from .json_wrapped import close

BEGIN, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL, CALL_END = "<|tool_call_begin|>", "<|tool_call_end|>"
ARGUMENTS = "<|tool_call_argument_begin|>"


def scan(scan: Scan) -> More[None]:
    """Calls end the reasoning, even where the model forgets to."""
    scan.breaks, scan.closings = (BEGIN, CALL), (CALL_END, END)
    while (found := (yield from scan.until(BEGIN, CALL))) is not None:
        start = scan.at
        if found == BEGIN:
            yield from scan.blanks()
            if not (yield from scan.literal(CALL)):
                scan.back(start, found)
                continue
        id = yield from scan.before(ARGUMENTS)
        name = "" if id is None else name_of(id)
        if name:
            scan.at += len(ARGUMENTS)
        if name and (yield from arguments(scan, name, (id or "").strip())) != "none":
            yield from close(scan, CALL_END, END)
        else:
            scan.back(start, found)


def name_of(id: str) -> str:
    """`get_weather` of `functions.get_weather:0`."""
    name, colon, number = id.strip().removeprefix("functions.").rpartition(":")
    return name if colon and number.isdigit() else number if not colon else f"{name}:{number}"


def grammar(
    tools: Sequence[Tool],
    spell: Callable[[str], str],
    arguments: Callable[[Tool], str],
    several: bool,
) -> str:
    more = " one*" if several else ""
    rules = [
        f"calls: one{more} {spell(END)}",
        f"one: {spell(CALL)} call {spell(CALL_END)}",
        "call: " + " | ".join(f"call_{i}" for i in range(len(tools))),
    ]
    for index, tool in enumerate(tools):
        head = f'"functions.{tool.name}:" /[0-9]{{1,3}}/ {spell(ARGUMENTS)}'
        rules.append(f"call_{index}: {head} arguments_{index}")
        rules.append(f"arguments_{index}: {arguments(tool)}")
    return "\n".join(rules)
