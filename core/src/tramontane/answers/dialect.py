"""How a model writes tool calls and reasoning: found by its chat template, or named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tramontane.errors import RequestError
from tramontane.plugin import ToolCaller, load
from tramontane.registry import Registry
from tramontane.tools import Tool

from .parser import AnswerParser, Caller, plain
from .scan import More, Scan

if TYPE_CHECKING:
    from tramontane.grammar import Grammar

BEFORE = re.compile(r"^before:", re.MULTILINE)
ONE_BLANK = {"x-guidance": {"whitespace_pattern": " "}}
MARK = re.compile(r"(<[^<>]+>|\[/?[A-Z_]+\]|｜[^｜]+｜)")
"""What may be a special token within a text."""
LONGEST_CALL = 1 << 20
"""Characters of a call that is read only when it is whole."""


@dataclass(frozen=True)
class Dialect:
    """caller: how calls are written, if that is known; reasoner: the same of reasoning."""

    caller: ToolCaller | None = None
    reasoner: ToolCaller | None = None

    @classmethod
    def of(cls, registry: Registry, template: str | None, caller: str | None = None) -> Dialect:
        """Of a model with this chat template. caller: the name of a tool caller to take instead.

        Raises PluginNotInstalled for a name that nothing offers.
        """
        offers = registry.all(ToolCaller)
        forced = None if caller is None else registry.get(ToolCaller, caller)
        calls = forced or _best([o for o in offers if "calls" in o.reads], template, resort=True)
        if calls is not None and "reasoning" in calls.reads:
            return cls(calls, calls)
        reasoner = _best([o for o in offers if o.reads == ("reasoning",)], template, resort=False)
        return cls(calls, reasoner)

    def parser(
        self, tools: Sequence[Tool] = (), prompt: str = "", *, several: bool = True
    ) -> AnswerParser:
        """For one answer. Without tools nothing is a call. several: or the first call ends it.

        prompt: what the answer goes on from, or its end; a template may begin the reasoning there.
        The answer's text must have its special tokens (`skip_special_tokens=False`).
        """
        both = self.caller is not None and self.caller == self.reasoner
        reasoner = None if both else self.reasoner
        thinking = None if reasoner is None else (reasoner.opening, reasoner.closing)
        scan = Scan(tools, thinking)
        scan.thinks = thinking is not None and prompt.rstrip().endswith(thinking[0].rstrip())
        if self.caller is None or not (tools or both):
            return AnswerParser(scan, plain)
        if self.caller.scan is not None:
            return AnswerParser(scan, load(self.caller.scan), several)
        return AnswerParser(scan, _by_parse(self.caller, tools), several)

    def grammar(
        self,
        tools: Sequence[Tool],
        *,
        required: bool = False,
        several: bool = True,
        special: Callable[[str], int | None] = lambda text: None,
        prompt: str = "",
        thinks: bool = True,
        form: Grammar | None = None,
    ) -> Grammar | None:
        """What makes calls and the answer's form sure; reasoning before them stays free.

        tools: those that may be called; of one, that is the one. required: there is a call; else
        only that its arguments are right. several: whether there may be more calls than one.
        special: the id of a text that is a special token of the model. prompt: as for `parser`.
        thinks: whether the model may begin to reason where the prompt has not. form: the JSON
        that an answer is which is no call. None: nothing is to be made sure.
        Raises RequestError where the dialect has no grammar, or one cannot be enforced (the
        parameters of a strict tool).
        """
        if required and not tools:
            raise RequestError("a tool call is required, but there are no tools")
        after = self._thought(prompt, thinks)
        if not required and not tools:
            return form and self._form(form, special, after)
        strict = required or any(tool.strict for tool in tools)
        if not strict and form is None and not any(tool.bound for tool in tools):
            return None
        if required:
            tools = [replace(tool, bound=True) for tool in tools]
        if self.caller is None or self.caller.grammar is None:
            if not strict and form is None:
                return None
            name = "a model without a tool caller" if self.caller is None else self.caller.name
            beside = (
                "" if form is None or required else ", nor one that combines them with a schema"
            )
            raise RequestError(
                f"{name}: there is no grammar that makes its tool calls sure{beside}"
            )
        from tramontane.grammar import Grammar

        def spell(text: str) -> str:
            return spelled(text, special)

        opening = self.caller.opening
        rules = load(self.caller.grammar)(tools, spell, arguments_rule, several)
        calls = f"{spell(opening)} calls" if opening else "calls"
        if required or form is not None:
            if not BEFORE.search(rules) and after == "":
                rules += self._free(spell)
            if form is not None and not required:
                answer = f"{spell(self.caller.answer)} answer" if self.caller.answer else "answer"
                calls = f"({calls} | {answer})"
                rules += f"\n{_answer_rule(form)}"
            before = "before? " if BEFORE.search(rules) else ""
            return Grammar(type="lark", value=f"start: {before}{calls}\n{rules}", after=after or "")
        if not opening and not strict:
            return None
        if not opening:
            raise RequestError(
                f"{self.caller.name}: calls begin with nothing that tells them from a text, so "
                "strict tools need tool_choice required"
            )
        return Grammar(type="lark", value=f"start: calls\n{rules}", after=opening, optional=True)

    def _thought(self, prompt: str, thinks: bool) -> str | None:
        """What closes the reasoning that the prompt has begun; "": it has begun none, and the
        answer may; None: it may not."""
        reasoner, said = self.reasoner, prompt.rstrip()
        if reasoner is None or reasoner == self.caller:
            return ""
        if said.endswith(reasoner.opening.rstrip()):
            return reasoner.closing
        return "" if thinks and not said.endswith(reasoner.closing.rstrip()) else None

    def _form(
        self, form: Grammar, special: Callable[[str], int | None], after: str | None
    ) -> Grammar:
        """A form where there are no tools."""
        if self.caller is not None and self.caller.answer:
            return form.model_copy(update={"after": self.caller.answer})
        if after:
            return form.model_copy(update={"after": after})
        free = self._free(lambda text: spelled(text, special)) if after == "" else ""
        if not free:
            return form
        value = f"start: before? answer{free}\n{_answer_rule(form)}"
        return form.model_copy(update={"type": "lark", "value": value})

    def _free(self, spell: Callable[[str], str]) -> str:
        """Rules: `before` is reasoning that an answer may begin with; "" where there is none."""
        if self.reasoner is None or self.reasoner == self.caller:
            return ""
        opening, closing = spell(self.reasoner.opening), spell(self.reasoner.closing)
        blanks = "THOUGHT_END: /[ \\n]{1,8}/"
        if closing.startswith("<["):  # a special token, which no text has in it
            thought = f"THOUGHT {closing}"
            return f"\nbefore: {opening} {thought} THOUGHT_END?\nTHOUGHT: /(?s:.*)/\n{blanks}"
        rule = f"thought[suffix={closing}]: /(?s:.*)/"
        return f"\nbefore: {opening} thought THOUGHT_END?\n{rule}\n{blanks}"


def _answer_rule(form: Grammar) -> str:
    from tramontane.grammar import BLANKS

    schema = {"type": "object"} if form.type == "json_object" else form.value
    whole = schema if isinstance(schema, dict) else {"allOf": [schema]}
    return f"answer: %json {json.dumps({**whole, 'x-guidance': {'whitespace_pattern': BLANKS}})}"


def spelled(text: str, special: Callable[[str], int | None]) -> str:
    """A text as a sequence of terminals in Lark: its marks that are special tokens as those."""
    whole = special(text)
    if whole is not None:
        return f"<[{whole}]>"
    parts = []
    for part in MARK.split(text):
        token = special(part) if part else None
        if part:
            said = json.dumps(part, ensure_ascii=False) if token is None else f"<[{token}]>"
            parts.append(said)
    plain = json.dumps(text, ensure_ascii=False)
    return " ".join(parts) if any(part.startswith("<") for part in parts) else plain


def arguments_rule(tool: Tool) -> str:
    """A tool's arguments, in Lark: what its parameters allow, or any object if it is not bound."""
    schema = dict(tool.parameters) if tool.strict or tool.bound else {}
    about = {"type": "object", **about_tool(tool, otherwise={"type": "object"}), **ONE_BLANK}
    return f"%json {json.dumps({**schema, **about})}"


def about_tool(
    tool: Tool, key: str = "", otherwise: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a schema says of whose it is, for errors. key: the argument's name.

    otherwise: the schema to take where this one cannot be enforced, and the tool is not strict.
    """
    about: dict[str, Any] = {"x-whose": f"tool {tool.name}{key and ', '}{key}: "}
    return about if tool.strict else {**about, "x-otherwise": dict(otherwise or {})}


def _best(offers: Sequence[ToolCaller], template: str | None, *, resort: bool) -> ToolCaller | None:
    fitting = [o for o in offers if o.markers and all(m in (template or "") for m in o.markers)]
    if not fitting and resort:
        fitting = [offer for offer in offers if not offer.markers]
    return max(fitting, key=lambda o: (sum(map(len, o.markers)), o.name), default=None)


def _by_parse(offer: ToolCaller, tools: Sequence[Tool]) -> Caller:
    """For callers that parse calls that are whole: text is held back from opening to closing."""
    parse = load(offer.parse or "")

    def caller(scan: Scan) -> More[None]:
        while (opening := (yield from scan.until(offer.opening))) is not None:
            start = scan.at
            inside = yield from scan.before(offer.closing, limit=LONGEST_CALL)
            if inside is not None:
                scan.at += len(offer.closing)
            else:  # it may have forgotten to close the last one
                scan.at = len(scan.text) if scan.ended else start
            found = parse(opening + scan.text[start : scan.at], tools)
            for call in found:
                scan.call(call.name, call.arguments, call.id)
            if not found:
                scan.back(start, opening)

    return caller
