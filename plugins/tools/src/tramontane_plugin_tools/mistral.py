"""Mistral: `[TOOL_CALLS]` and a list of objects, or from tokenizer v11 on a name and its arguments.

`[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]`
`[TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{"city": "Oslo"}`, the id only in v11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tramontane.answers import More, Scan
from tramontane.answers.calls_json import arguments, calls
from tramontane.tools import Tool

from .json_wrapped import close

OPENING, CLOSING, ID, ARGS = "[TOOL_CALLS]", "[/TOOL_CALLS]", "[CALL_ID]", "[ARGS]"


def scan(scan: Scan) -> More[None]:
    """Both forms, as checkpoints of the second have templates of the first."""
    scan.closings = (CLOSING,)
    while (found := (yield from scan.until(OPENING))) is not None:
        start = scan.at
        first = yield from scan.blanks()
        if first in ("[", "{"):
            whole = yield from calls(scan)
        else:
            whole = yield from _named(scan)
        if whole:
            yield from close(scan, CLOSING)
        else:
            scan.back(start, found)


def _named(scan: Scan) -> More[bool]:
    name = yield from scan.before(ARGS, ID, "{", OPENING)
    id = ""
    if name is None or not name.strip():
        return False
    if (yield from scan.literal(ID)):
        id = (yield from scan.before(ARGS, "{")) or ""
    yield from scan.literal(ARGS)
    return (yield from arguments(scan, name.strip(), id.strip())) != "none"


def named_grammar(
    tools: Sequence[Tool],
    spell: Callable[[str], str],
    arguments: Callable[[Tool], str],
    several: bool,
) -> str:
    """Of the second form, without ids."""
    more = f" ({spell(OPENING)} call)*" if several else ""
    rules = [f"calls: call{more}", "call: " + " | ".join(f"call_{i}" for i in range(len(tools)))]
    for index, tool in enumerate(tools):
        rules.append(f'call_{index}: "{tool.name}" {spell(ARGS)} arguments_{index}')
        rules.append(f"arguments_{index}: {arguments(tool)}")
    return "\n".join(rules)
