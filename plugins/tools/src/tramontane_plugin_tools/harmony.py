"""Harmony, gpt-oss's form: messages on channels, some of them to tools.

`<|channel|>analysis<|message|>` reasoning, `<|channel|>final<|message|>` content, and
`<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": ...}` a call.
Commentary to nobody is content: it is what the user may read before a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tramontane.answers import Content, More, Reasoning, Scan
from tramontane.answers.calls_json import arguments
from tramontane.tools import Tool

from .json_wrapped import close

START, CHANNEL, MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")
TO = re.compile(r"to=([^\s<]+)")
HEADER = 1024


def scan(scan: Scan) -> More[None]:
    role, scan.closings = "", ENDS
    spoken: set[type] = set()
    while (found := (yield from scan.until(START, CHANNEL, *ENDS))) is not None:
        start = scan.at
        if found == START:
            header = yield from scan.before(CHANNEL, MESSAGE, *ENDS, START)
            if header is None:
                scan.back(start, found)
                continue
            role = header
            if not (yield from scan.literal(MESSAGE)):
                continue
            yield from _said(scan, Content, spoken)
        elif found == CHANNEL:
            header = yield from scan.before(MESSAGE, START, CHANNEL, *ENDS, limit=HEADER)
            if header is None or not (yield from scan.literal(MESSAGE)):
                scan.back(start, found)
                continue
            to = TO.search(header) or TO.search(role)
            kind = Reasoning if header.lstrip().startswith("analysis") else Content
            name = to[1].removeprefix("functions.") if to else ""
            if not name or (yield from arguments(scan, name)) == "none":
                yield from _said(scan, kind, spoken)
            role = ""
        yield from close(scan, *ENDS)


def _said(scan: Scan, kind: type[Content] | type[Reasoning], spoken: set[type]) -> More[None]:
    """A message's text, on a line of its own."""
    if kind in spoken:
        scan.say("\n", kind)
    spoken.add(kind)
    yield from scan.pass_on(lambda piece: scan.say(piece, kind), *ENDS, START, CHANNEL)


def grammar(
    tools: Sequence[Tool],
    spell: Callable[[str], str],
    arguments: Callable[[Tool], str],
    several: bool,
) -> str:
    """One call, as the model ends its answer with it; it may think first."""
    end = spell("<|end|>")
    thought = "/(?s:.*)/" if end.startswith("<") else "/[^<]*/"
    analysis = f'{spell(CHANNEL)} "analysis" {spell(MESSAGE)} THOUGHT {end}'
    rules = [
        f'before: {analysis} {spell(START)} "assistant"',
        f"THOUGHT: {thought}",
        "calls: " + " | ".join(f"call_{i}" for i in range(len(tools))),
    ]
    for index, tool in enumerate(tools):
        head = f'"{tool.name} " {spell("<|constrain|>")} "json" {spell(MESSAGE)}'
        rules.append(f"call_{index}: {head} arguments_{index}")
        rules.append(f"arguments_{index}: {arguments(tool)}")
    return "\n".join(rules)
