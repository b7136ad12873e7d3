"""Whether a template takes a message's content as parts or as a text, and content made to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from tramontane.errors import RequestError

SORTED_OUT = frozenset({"string", "iterable", "sequence", "mapping"})
"""Tests by which a template that takes parts tells them from a text."""


@dataclass(frozen=True)
class Takes:
    """parts: it loops over content. text: it does not, or tests what content is first."""

    parts: bool
    text: bool


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
    return Takes(parts=parts, text=tested or not parts)


def fit(message: dict[str, Any], takes: Takes, where: str) -> dict[str, Any]:
    """The message with its content as the template takes it; texts are joined by newlines.

    Raises RequestError for parts that are no text, where the template takes texts only.
    """
    content = message.get("content")
    if isinstance(content, list) and not takes.parts:
        for part in content:
            if part["type"] != "text":
                raise RequestError(
                    f"{where} has a part of type {part['type']!r:.40}, but this model's chat"
                    " template takes text only"
                )
        return message | {"content": "\n".join(part["text"] for part in content)}
    if isinstance(content, str) and not takes.text:
        return message | {"content": [{"type": "text", "text": content}]}
    return message


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
