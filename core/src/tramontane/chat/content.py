"""Whether a template takes a message's content as parts or as a text, and content made to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from .media_parts import PLACES
from .messages import REASONING
from .parts import joined, thoughts

SORTED_OUT = frozenset({"string", "iterable", "sequence", "mapping"})
"""Tests by which a template that takes parts tells them from a text."""


@dataclass(frozen=True)
class Takes:
    """parts: it loops over content. text: it does not, or tests what content is first. thinking:
    it knows parts of reasoning. roles: those of the rarer ones that it knows."""

    parts: bool
    text: bool
    thinking: bool = False
    roles: frozenset[str] = frozenset()


def what_it_takes(tree: nodes.Template) -> Takes:
    """By a look at the parsed template: which names stand for content, and what is done to them.

    A name stands for content when it is set to a message's `content`, or to such a name, or is the
    parameter of a macro that is called with one.
    """
    names = _content_names(tree)
    parts = any(_is_content(loop.iter, names) for loop in tree.find_all(nodes.For))
    tested = any(
        test.name in SORTED_OUT and _is_content(test.node, names)
        for test in tree.find_all(nodes.Test)
    )
    words = {const.value for const in tree.find_all(nodes.Const) if isinstance(const.value, str)}
    return Takes(
        parts=parts,
        text=tested or not parts,
        thinking=parts and "thinking" in words,
        roles=frozenset(words & {"developer"}),
    )


def fit(message: dict[str, Any], takes: Takes) -> dict[str, Any]:
    """The message, in place, with its content as the template takes it, of those of `checked`.

    Texts are joined by newlines, save a user's for a template that takes parts: what it writes for
    the parts of other roles is often the list, as Python prints it.
    """
    content = message["content"]
    if isinstance(content, list):
        thinks = any(part["type"] == "thinking" for part in content)
        if thinks and not takes.thinking:
            reasoning = thoughts(content)
            message = {**dict.fromkeys(REASONING, reasoning), **message}
        if message["role"] == "user":
            kept = takes.parts
        else:
            kept = thinks and takes.thinking
        kept = kept or (takes.parts and any(part in PLACES for part in content))
        if not kept:
            message["content"] = joined(content)
    if isinstance(message["content"], str) and not takes.text:
        message["content"] = [{"type": "text", "text": message["content"]}]
    if message["role"] == "developer" and "developer" not in takes.roles:
        message["role"] = "system"  # what is newly called developer was always the system
    return message


def marked(message: Mapping[str, Any], marks: Mapping[str, str]) -> Mapping[str, Any]:
    """The message with a part of text for each item of media, for a template that takes text.
    marks: the text, by the item's kind; items of other kinds stay."""
    content = message.get("content")
    if not isinstance(content, list) or not any(part in PLACES for part in content):
        return message
    parts = [
        {"type": "text", "text": marks[part["type"]]}
        if part in PLACES and part["type"] in marks
        else part
        for part in content
    ]
    return {**message, "content": parts}


def _content_names(tree: nodes.Template) -> frozenset[str]:
    names: frozenset[str] = frozenset()
    while True:
        found = set(names)
        for assign in tree.find_all(nodes.Assign):
            if isinstance(assign.target, nodes.Name) and _is_content(assign.node, names):
                found.add(assign.target.name)
        macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        for call in tree.find_all(nodes.Call):
            macro = macros.get(call.node.name) if isinstance(call.node, nodes.Name) else None
            if macro is not None:
                pairs = zip(macro.args, call.args, strict=False)
                found |= {name.name for name, value in pairs if _is_content(value, names)}
        if found == names:
            return names
        names = frozenset(found)


def _is_content(node: nodes.Node, names: frozenset[str]) -> bool:
    """Whether an expression may be content itself, not something made of it."""
    if isinstance(node, nodes.Name):
        return node.name in names
    if isinstance(node, nodes.Getattr):
        return node.attr == "content"
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const) and node.arg.value == "content"
    if isinstance(node, nodes.Call):  # message.get("content")
        return (
            isinstance(node.node, nodes.Getattr)
            and node.node.attr == "get"
            and bool(node.args)
            and isinstance(node.args[0], nodes.Const)
            and node.args[0].value == "content"
        )
    if isinstance(node, nodes.Filter):
        return node.node is not None and _is_content(node.node, names)
    if isinstance(node, nodes.CondExpr):
        return any(_is_content(part, names) for part in (node.expr1, node.expr2) if part)
    if isinstance(node, nodes.Or | nodes.And):
        return _is_content(node.left, names) or _is_content(node.right, names)
    return False
