"""GBNF, the grammars of llama.cpp, as Lark.

`name ::= ...` with "literals", [classes], ., names, ( | ), and * + ? {m} {m,} {m,n}. The first rule
is named root. What does not refer back to its own rule becomes a terminal, matched at once.
Source of the syntax: grammars/README.md of llama.cpp.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from tramontane.errors import RequestError

TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n]+|\#[^\r\n]*)
    |(?P<head>[A-Za-z0-9_-]+)[ \t]*::=
    |(?P<name>[A-Za-z0-9_-]+)
    |"(?P<text>(?:[^"\\\r\n]|\\.)*)"
    |\[(?P<class>(?:[^\]\\]|\\.)*)\]
    |(?P<any>\.)
    |(?P<count>\{[ \t]*\d*[ \t]*(?:,[ \t]*\d*[ \t]*)?\})
    |(?P<mark>[()|*+?])""",
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
PLAIN = {"n": "\n", "r": "\r", "t": "\t"}
DEEPEST = 64


@dataclass
class Element:
    """A literal, class, name or group with what repeats it. parts: in Lark; "@name" is a rule."""

    parts: list[str] = field(default_factory=list)
    repeated: str = ""

    @property
    def names(self) -> set[str]:
        return {part[1:] for part in self.parts if part[0] == "@"}

    def empty(self, nullable: set[str]) -> bool:
        """Whether it may be nothing."""
        if self.repeated[:1] in ("*", "?") or self.repeated.startswith(("{0", "{,")):
            return True
        return bool(self.names & nullable) or self.parts == ['""']


Rule: TypeAlias = "list[list[Element]]"
"""Sequences, one of which it is."""


def lark_of(text: str) -> str:
    """The same language in Lark. Raises RequestError for what is no GBNF.

    Characters that may be left out at a rule's end are matched one by one: matched at once they
    would be as many as there can be, and none would be left for what follows.
    """
    rules = _read(text)
    names = {name: set().union(*(e.names for s in rule for e in s)) for name, rule in rules.items()}
    if "root" not in rules:
        raise RequestError("the gbnf grammar has no rule named root")
    for missing in sorted(set().union(*names.values()) - rules.keys()):
        raise RequestError(f"the gbnf grammar has no rule named {missing!r}")
    flat, nullable = _without_recursion(names), _nullable(rules)
    closed: set[str] = set()
    while more := {
        name
        for name in flat - closed
        if all(_head(s, flat, closed, nullable) == len(s) for s in rules[name])
    }:
        closed |= more
    number = {name: index for index, name in enumerate(rules)}
    lines = [f"start: r{number['root']}"]
    for name, rule in rules.items():
        if name in flat:
            lines.append(f"T{number[name]}: {' | '.join(_flat(s, number) for s in rule)}")
        heads = [_head(sequence, flat, closed, nullable) for sequence in rule]
        said = []
        for place, (sequence, head) in enumerate(zip(rule, heads, strict=True)):
            rest = " ".join(_loose(element, number) for element in sequence[head:])
            if head:
                lines.append(f"T{number[name]}_{place}: {_flat(sequence[:head], number)}")
            said.append(f"T{number[name]}_{place} {rest}" if head else rest)
        lines.append(f"r{number[name]}: {' | '.join(said)}")
    return "\n".join(lines)


def _head(sequence: list[Element], flat: set[str], closed: set[str], nullable: set[str]) -> int:
    """How many elements can be matched at once. closed: rules that end in what must be there."""
    plain = 0
    while plain < len(sequence) and sequence[plain].names <= flat:
        plain += 1
    while plain and (
        sequence[plain - 1].empty(nullable) or not sequence[plain - 1].names <= closed
    ):
        plain -= 1
    return plain


def _flat(sequence: list[Element], number: dict[str, int]) -> str:
    return " ".join(_written(element, number, "T") for element in sequence)


def _loose(element: Element, number: dict[str, int]) -> str:
    return _written(element, number, "r")


def _written(element: Element, number: dict[str, int], kind: str) -> str:
    parts = [f"{kind}{number[p[1:]]}" if p[0] == "@" else p for p in element.parts]
    return " ".join(parts) + element.repeated


def _read(text: str) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    rule: Rule | None = None
    at = depth = 0
    before = ""
    """The last part; nothing at the start of a sequence."""

    def wrong(what: str) -> RequestError:
        line = text.count("\n", 0, at) + 1
        return RequestError(f"the gbnf grammar, line {line}: {what}, at {text[at : at + 20]!r}")

    while at < len(text):
        found = TOKEN.match(text, at)
        kind = found.lastgroup if found else None
        if found is None or (rule is None and kind not in ("head", "skip")):
            raise wrong("this is no part of a rule" if rule else "a rule begins with name ::=")
        said = found[kind or ""]
        if kind == "head":
            if depth:
                raise wrong("a bracket is not closed before the next rule")
            if said in rules:
                raise wrong(f"{said!r} has two rules")
            rule, before = rules.setdefault(said, [[]]), ""
        elif rule is not None and kind != "skip":
            mark = said if kind == "mark" else ""
            depth += (mark == "(") - (mark == ")")
            if not 0 <= depth <= DEEPEST:
                raise wrong("this bracket was not opened" if depth < 0 else "brackets are too deep")
            if kind == "count" or mark in ("*", "+", "?"):
                if before in ("", "(", "|", "*", "+", "?", "{"):
                    raise wrong("there is nothing to repeat")
                said = re.sub(r"\s", "", said)
                if depth:
                    rule[-1][-1].parts[-1] += said
                else:
                    rule[-1][-1].repeated = said
            elif mark == "|" and not depth:
                rule.append([])
            else:
                if depth == (mark == "(") and mark != ")":  # an element of the rule itself
                    rule[-1].append(Element())
                parts = rule[-1][-1].parts
                parts += ['""'] if before in ("(", "|") and mark in (")", "|") else []
                parts.append(_part(kind, said))
            before = "" if mark == "|" and not depth else mark or ("{" if kind == "count" else "x")
        at = found.end()
    if depth:
        raise wrong("a bracket is not closed")
    for sequences in rules.values():
        for sequence in sequences:
            sequence += [] if sequence else [Element(['""'])]
    return rules


def _part(kind: str | None, said: str) -> str:
    match kind:
        case "name":
            return f"@{said}"
        case "text":
            return json.dumps(ESCAPE.sub(_character, said), ensure_ascii=False)
        case "class":
            return f"/{_class(said)}/"
        case "any":
            return "/(?s:.)/"
    return said


def _class(said: str) -> str:
    """A class of characters as Rust's regular expressions have it."""
    inverted = said.startswith("^")
    made = ["^"] if inverted else []
    at = int(inverted)
    while at < len(said):
        found = ESCAPE.match(said, at)
        char = _character(found) if found else said[at]
        plain_dash = char == "-" and found is None and inverted < at < len(said) - 1
        made.append("-" if plain_dash else f"\\x{{{ord(char):x}}}")
        at = found.end() if found else at + 1
    return f"[{''.join(made)}]"


def _character(found: re.Match[str]) -> str:
    number = found[1] or found[2] or found[3]
    if number is None:
        return PLAIN.get(found[4], found[4])
    value = int(number, 16)
    if value > 0x10FFFF or 0xD800 <= value < 0xE000:
        raise RequestError(f"the gbnf grammar: {found[0]!r} is no character")
    return chr(value)


def _without_recursion(names: dict[str, set[str]]) -> set[str]:
    """Rules from which no way leads back to themselves, nor to one of which one does."""
    plain: set[str] = set()
    while more := {name for name, inner in names.items() if name not in plain and inner <= plain}:
        plain |= more
    return plain


def _nullable(rules: dict[str, Rule]) -> set[str]:
    """Rules that may be nothing."""
    found: set[str] = set()
    while more := {
        name
        for name, rule in rules.items()
        if name not in found and any(all(e.empty(found) for e in sequence) for sequence in rule)
    }:
        found |= more
    return found
