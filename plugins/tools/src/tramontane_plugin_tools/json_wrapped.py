"""JSON objects between an opening and a closing: Hermes, Qwen, Llama 3, Phi-4, Jamba, Hunyuan,
Granite, Nemotron 2.

`<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>`, or a list of such
objects, or several with a semicolon between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tramontane.answers import More, Scan
from tramontane.answers.broken import cut_off, skip_stray
from tramontane.answers.calls_json import calls
from tramontane.tools import Tool

Spell = Callable[[str], str]
Write = Callable[[Tool], str]


def wrapped(scan: Scan, opening: str, closing: str, between: tuple[str, ...] = ()) -> More[None]:
    """Calls of one syntax, until the text is over."""
    scan.closings = (closing,) if closing else ()
    while (found := (yield from scan.until(opening))) is not None:
        start = scan.at
        if not (yield from calls(scan, between)):
            scan.back(start, found)
            continue
        yield from close(scan, closing)


def close(scan: Scan, *closings: str) -> More[None]:
    """Skip what closes a call, more than once if a model repeats itself."""
    yield from skip_stray(scan)
    place = scan.at
    while closings and closings[0]:
        yield from scan.blanks()
        if not (yield from scan.literal(*closings)):
            break
        place = scan.at
    if closings and closings[0] and (yield from cut_off(scan, *closings)):
        place = scan.at = len(scan.text)
    scan.at = place


def hermes(scan: Scan) -> More[None]:
    return wrapped(scan, "<tool_call>", "</tool_call>")


def llama(scan: Scan) -> More[None]:
    """With the python tag, or bare, as the smaller models write it."""
    while (found := (yield from scan.until("<|python_tag|>", "{", "["))) is not None:
        start = scan.at
        bare = len(found) == 1
        scan.at -= bare
        if (yield from calls(scan, between=(";", ","), known=bare)):
            yield from close(scan)
        else:
            scan.back(start, found)


def phi(scan: Scan) -> More[None]:
    return wrapped(scan, "functools", "")


def jamba(scan: Scan) -> More[None]:
    return wrapped(scan, "<tool_calls>", "</tool_calls>")


def granite(scan: Scan) -> More[None]:
    return wrapped(scan, "<|tool_call|>", "")


def nemotron(scan: Scan) -> More[None]:
    return wrapped(scan, "<TOOLCALL>", "</TOOLCALL>")


def objects(tools: Sequence[Tool], arguments: Write, key: str = "arguments") -> str:
    """Rules: `object` is a call of one of the tools."""
    rules = [f"object: {' | '.join(f'object_{i}' for i in range(len(tools)))}"]
    for index, tool in enumerate(tools):
        name = quoted(f'{{"name": {quoted(tool.name)}, "{key}": ')
        rules.append(f'object_{index}: {name} arguments_{index} "}}"')
        rules.append(f"arguments_{index}: {arguments(tool)}")
    return "\n".join(rules)


def quoted(text: str) -> str:
    """A text as JSON has it, and Lark."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def one_by_one(opening: str, closing: str) -> Callable[..., str]:
    """A grammar of objects that are each wrapped, a line apart."""

    def write(tools: Sequence[Tool], spell: Spell, arguments: Write, several: bool) -> str:
        body = f'"\\n" object "\\n" {spell(closing)}'
        more = f' ("\\n" {spell(opening)} {body})*' if several else ""
        return f"calls: {body}{more}\n{objects(tools, arguments)}"

    return write


def as_list(closing: str) -> Callable[..., str]:
    """A grammar of a list of objects."""

    def write(tools: Sequence[Tool], spell: Spell, arguments: Write, several: bool) -> str:
        more = '(", " object)*' if several else ""
        end = f" {spell(closing)}" if closing else ""
        return f'calls: "[" object {more} "]"{end}\n{objects(tools, arguments)}'

    return write


def in_a_row(key: str) -> Callable[..., str]:
    """A grammar of objects with nothing around them, arguments under `key`."""

    def write(tools: Sequence[Tool], spell: Spell, arguments: Write, several: bool) -> str:
        more = ' ("; " object)*' if several else ""
        return f"calls: object{more}\n{objects(tools, arguments, key)}"

    return write


llama_grammar, bare_grammar = in_a_row("parameters"), in_a_row("arguments")
hermes_grammar = one_by_one("<tool_call>", "</tool_call>")
phi_grammar = granite_grammar = as_list("")
jamba_grammar = as_list("</tool_calls>")
nemotron_grammar = as_list("</TOOLCALL>")
mistral_grammar = as_list("")
