"""DeepSeek V3, R1 and V3.1: each call between marks of its own, all of them between others.

V3: `<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather`, then a fence of JSON.
V3.1: `<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tramontane.answers import More, Scan
from tramontane.answers.broken import closes
from tramontane.answers.calls_json import arguments
from tramontane.tools import Tool

from .json_wrapped import close

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, CALL_END, SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"


def scan(scan: Scan) -> More[None]:
    """A call is one without the outer marks too, which models forget."""
    scan.breaks, scan.closings = (BEGIN, CALL), ("```", CALL_END, END)
    while (found := (yield from scan.until(BEGIN, CALL))) is not None:
        start = scan.at
        if found == BEGIN:
            yield from scan.blanks()
            if not (yield from scan.literal(CALL)):
                scan.back(start, found)
                continue
        if (yield from _call(scan)):
            yield from close(scan, "```", CALL_END, END)
        else:
            scan.back(start, found)


def _call(scan: Scan) -> More[bool]:
    name = yield from scan.before(SEPARATOR)
    if name is None:
        return False
    scan.at += len(SEPARATOR)
    if (yield from scan.blanks()) != "{" and not (yield from closes(scan)):
        name = yield from scan.before("\n", "```", "{", CALL_END)
        if name is None:
            return False
        yield from scan.blanks()
        yield from scan.literal("```json", "```")
    return bool(name.strip()) and (yield from arguments(scan, name.strip())) != "none"


def v3_grammar(
    tools: Sequence[Tool],
    spell: Callable[[str], str],
    arguments: Callable[[Tool], str],
    several: bool,
) -> str:
    return _grammar(
        tools, spell, arguments, several, lambda tool: f'"function" {spell(SEPARATOR)} "{tool}\\n'
        '```json\\n"', '"\\n```"',
    )  # fmt: skip


def v31_grammar(
    tools: Sequence[Tool],
    spell: Callable[[str], str],
    arguments: Callable[[Tool], str],
    several: bool,
) -> str:
    return _grammar(
        tools, spell, arguments, several, lambda tool: f'"{tool}" {spell(SEPARATOR)}', ""
    )


def _grammar(
    tools: Sequence[Tool],
    spell: Callable[[str], str],
    arguments: Callable[[Tool], str],
    several: bool,
    head: Callable[[str], str],
    foot: str,
) -> str:
    more = " one*" if several else ""
    rules = [
        f"calls: one{more} {spell(END)}",
        f"one: {spell(CALL)} call {spell(CALL_END)}",
        "call: " + " | ".join(f"call_{i}" for i in range(len(tools))),
    ]
    for index, tool in enumerate(tools):
        rules.append(f"call_{index}: {head(tool.name)} arguments_{index} {foot}")
        rules.append(f"arguments_{index}: {arguments(tool)}")
    return "\n".join(rules)
