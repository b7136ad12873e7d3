"""Grammars of arguments that are not one JSON object but written member by member.

A text is written as it is, up to what closes it, where only a text is admitted, or null beside it;
all other values as JSON, which keeps a text that looks like a number from being read as one.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tramontane.answers.dialect import about_tool
from tramontane.errors import RequestError
from tramontane.tools import Tool

from .pythonic import KEY
from .schema_types import admitted, choices, unbound

log = logging.getLogger("tramontane.grammar")
Spell = Callable[[str], str]
KNOWN = {"$defs", "$schema", "additionalProperties", "definitions", "description", "properties",
         "required", "title", "type"}  # fmt: skip
QUOTE = '<|"|>'
BARE = re.compile(r"[\w.$-]+")
ONE_BLANK = {"x-guidance": {"whitespace_pattern": " "}}


@dataclass(frozen=True)
class Form:
    """How a member is written. before, after: (key, whether its value is a raw text) -> text.

    raw: whether texts are written raw. between: what stands between two members.
    """

    before: Callable[[str, bool], str]
    after: Callable[[str, bool], str]
    raw: bool = True
    between: str = ""


def members(tool: Tool, name: str, form: Form, spell: Spell) -> list[str]:
    """Rules of a tool's arguments; the first is `name`. Members come as the schema has them, those
    that are required first.

    Raises RequestError where a strict tool's schema asks for what this cannot enforce.
    """
    schema = tool.parameters
    if other := sorted(schema.keys() - KNOWN):
        _unenforced(tool, f"#/{other[0]}")
    properties: dict[str, Any] = dict(schema.get("properties") or {})
    if any(name not in properties for name in schema.get("required") or ()):
        _unenforced(tool, "#/required")
    required = [key for key in properties if key in (schema.get("required") or ())]
    optional = [key for key in properties if key not in required]
    defs = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    rules = []
    for index, key in enumerate([*required, *optional]):
        rules += _member(tool, f"{name}_{index}", key, {**defs}, properties[key], form, spell)
    first = [f"{name}_{index}" for index in range(len(required))]
    rest = [f"{name}_{index}" for index in range(len(required), len(properties))]
    between = spell(form.between) if form.between else ""
    body = f" {between} ".join(first)
    if first:
        body += "".join(f" ({between} {rule})?" for rule in rest)
    elif rest:
        chains = [
            rule + "".join(f" ({between} {later})?" for later in rest[place + 1 :])
            for place, rule in enumerate(rest)
        ]
        body = f"({' | '.join(chains)})?"
    nothing = '""'
    return [f"{name}: {body or nothing}", *rules]


def _member(
    tool: Tool, name: str, key: str, defs: dict[str, Any], schema: Any, form: Form, spell: Spell
) -> list[str]:
    types = admitted(schema, tool.parameters)
    if not form.raw or not {"string"} <= types <= {"string", "null"}:
        value = {**schema, **defs} if isinstance(schema, dict) else schema
        value = {"allOf": [value]} if isinstance(value, bool) else value
        found = f"%json {json.dumps({**value, **about_tool(tool, key), **ONE_BLANK})}"
        after = form.after(key, False)
        end = f" {spell(after)}" if after else ""
        before = spell(form.before(key, False))
        return [f"{name}: {before} {name}_value{end}", f"{name}_value: {found}"]
    texts = choices(schema, tool.parameters)
    if "null" in types and form.before(key, True) != form.before(key, False):
        null = f'{spell(form.before(key, False))} "null" {spell(form.after(key, False))}'.strip()
        texts = texts and [text for text in texts if text != "null"]
        rules = _text(tool, f"{name}_text", key, schema, texts, form, spell)
        return [f"{name}: {name}_text | {name}_null", f"{name}_null: {null}", *rules]
    return _text(tool, name, key, schema, texts, form, spell)


def _text(
    tool: Tool,
    name: str,
    key: str,
    schema: Any,
    texts: list[str] | None,
    form: Form,
    spell: Spell,
) -> list[str]:
    """A text as it is: one of those that there are, or any."""
    before, closing = spell(form.before(key, True)), spell(form.after(key, True))
    if texts is not None:
        return [f"{name}: {before} ({' | '.join(map(spell, texts))}) {closing}"]
    for place in unbound(schema, tool.parameters, None, f"#/properties/{key}"):
        _unenforced(tool, place)
    if closing.startswith("<"):  # a special token, which no text has in it
        lexeme = f"{name.upper()}_TEXT"
        return [f"{name}: {before} {lexeme} {closing}", f"{lexeme}: /(?s:.*)/"]
    first, _, rest = closing.partition(" <[")
    end = f" <[{rest}" if rest else ""
    return [f"{name}: {before} {name}_text{end}", f"{name}_text[suffix={first}]: /(?s:.*)/"]


def _unenforced(tool: Tool, place: str) -> None:
    """Raises RequestError where the tool is strict."""
    if tool.strict:
        raise _refused(tool, place)
    if tool.bound:
        log.warning("%s; so other arguments are possible", _refused(tool, place))


def _refused(tool: Tool, place: str) -> RequestError:
    return RequestError(
        f"tool {tool.name}: its schema at {place} cannot be enforced in this model's syntax"
    )


def one_of(count: int, name: str) -> str:
    """A rule: one of `name_0`, `name_1` ..."""
    return f"{name}: " + " | ".join(f"{name}_{index}" for index in range(count))


def qwen3_coder(
    tools: Sequence[Tool], spell: Spell, arguments: Callable[[Tool], str], several: bool
) -> str:
    form = Form(
        before=lambda key, text: f"<parameter={key}>\n",
        after=lambda key, text: "\n</parameter>",
        between="\n",
    )
    one = f'"\\n" call "\\n" {spell("</tool_call>")}'
    more = f' ("\\n" {spell("<tool_call>")} {one})*' if several else ""
    rules = [f"calls: {one}{more}", one_of(len(tools), "call")]
    for index, tool in enumerate(tools):
        head, foot = spell(f"<function={tool.name}>\n"), spell("\n</function>")
        rules.append(f"call_{index}: {head} members_{index} {foot}")
        rules += members(tool, f"members_{index}", form, spell)
    return "\n".join(rules)


def glm(
    tools: Sequence[Tool], spell: Spell, arguments: Callable[[Tool], str], several: bool
) -> str:
    form = Form(
        before=lambda key, text: f"\n<arg_key>{key}</arg_key>\n<arg_value>",
        after=lambda key, text: "</arg_value>",
    )
    one = f'call "\\n" {spell("</tool_call>")}'
    more = f" ({spell('<tool_call>')} {one})*" if several else ""
    rules = [f"calls: {one}{more}", one_of(len(tools), "call")]
    for index, tool in enumerate(tools):
        rules.append(f"call_{index}: {spell(tool.name)} members_{index}")
        rules += members(tool, f"members_{index}", form, spell)
    return "\n".join(rules)


def gemma(
    tools: Sequence[Tool], spell: Spell, arguments: Callable[[Tool], str], several: bool
) -> str:
    """Of lists and objects the strings stand between plain quotes, which the reader takes too."""
    form = Form(
        before=lambda key, text: f"{key}:{QUOTE if text else ''}",
        after=lambda key, text: QUOTE if text else "",
        between=",",
    )
    one = f'"call:" call "}}" {spell("<tool_call|>")}'
    more = f" ({spell('<|tool_call>')} {one})*" if several else ""
    rules = [f"calls: {one}{more}", one_of(len(tools), "call")]
    for index, tool in enumerate(tools):
        if unfit := [
            key for key in tool.parameters.get("properties", ()) if not BARE.fullmatch(key)
        ]:
            raise _refused(tool, f"#/properties/{unfit[0]}")
        rules.append(f"call_{index}: {spell(tool.name + '{')} members_{index}")
        rules += members(tool, f"members_{index}", form, spell)
    return "\n".join(rules)


def _invoke(prefix: str, around: str) -> Callable[..., str]:
    def write(
        tools: Sequence[Tool], spell: Spell, arguments: Callable[[Tool], str], several: bool
    ) -> str:
        form = Form(
            before=lambda key, text: f'<{prefix}parameter name="{key}"{_kind(text)}>',
            after=lambda key, text: f"</{prefix}parameter>\n",
        )
        more = ' ("\\n" call)*' if several else ""
        end = spell(f"\n</{around}>")
        rules = [f'calls: "\\n" call{more} {end}', one_of(len(tools), "call")]
        for index, tool in enumerate(tools):
            head = spell(f'<{prefix}invoke name="{tool.name}">\n')
            foot = spell(f"</{prefix}invoke>")
            rules.append(f"call_{index}: {head} members_{index} {foot}")
            rules += members(tool, f"members_{index}", form, spell)
        return "\n".join(rules)

    def _kind(text: bool) -> str:
        return f' string="{str(text).lower()}"' if prefix else ""

    return write


minimax = _invoke("", "minimax:tool_call")
deepseek_v32 = _invoke("｜DSML｜", "｜DSML｜function_calls")
deepseek_v4 = _invoke("｜DSML｜", "｜DSML｜tool_calls")


def _pythonic(before: str, closing: str) -> Callable[..., str]:
    """Values are JSON, which the reader takes beside Python's."""

    def write(
        tools: Sequence[Tool], spell: Spell, arguments: Callable[[Tool], str], several: bool
    ) -> str:
        form = Form(lambda key, text: f"{key}=", lambda key, text: "", raw=False, between=", ")
        more = ' (", " call)*' if several else ""
        opening = f"{spell(before)} " if before else ""
        end = f" {spell(closing)}" if closing else ""
        rules = [f'calls: {opening}call{more} "]"{end}', one_of(len(tools), "call")]
        for index, tool in enumerate(tools):
            if unfit := [
                key for key in tool.parameters.get("properties", ()) if not KEY.fullmatch(key)
            ]:
                raise _refused(tool, f"#/properties/{unfit[0]}")
            head = spell(f"{tool.name}(")
            rules.append(f'call_{index}: {head} members_{index} ")"')
            rules += members(tool, f"members_{index}", form, spell)
        return "\n".join(rules)

    return write


pythonic = _pythonic("[", "")
liquid = _pythonic("[", "<|tool_call_end|>")
