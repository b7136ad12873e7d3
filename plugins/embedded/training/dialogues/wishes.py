"""A tool together with a question that it answers."""

from __future__ import annotations

import json
from random import Random
from typing import Any, NamedTuple

from .hermes import Call, Spec, Taken
from .known_tools import KNOWN, Known
from .turns import capital, pick
from .values import MAKERS

OPENERS = ("please ", "hey, ", "hi, ", "ok, ", "so, ", "now ", "and ", "hello, ")
CLOSERS = (" please", ", please", " thanks", " now", "!", ".", "?")
KINDS = {"integer": "integer", "number": "number"}


class Wish(NamedTuple):
    """What somebody wants of a tool.

    call: the right one. gives, says: the kind of its result, and the answer with {r} for it.
    topic: a verb and a noun, where the tool is made up.
    """

    spec: Spec
    question: str
    call: Call
    gives: str
    says: str
    topic: tuple[str, str] | None = None
    group: str = ""


def as_json(value: str, kind: str) -> Any:
    """A value of a JSON type."""
    return json.loads(value) if kind in KINDS else value


def wish(rng: Random, known: Known) -> Wish:
    """A known tool under one of its names, and one of its questions."""
    takes: list[Taken] = []
    for slot in known.takes:
        name = pick(rng, slot.names)
        while name in (taken.name for taken in takes):
            name = slot.names[-1] + "2"
        kind = KINDS.get(slot.value, "string")
        takes.append(Taken(name, kind, slot.optional, slot.among))
    form = pick(rng, known.asks)
    values, arguments = [], {}
    for index, (slot, taken) in enumerate(zip(known.takes, takes, strict=True)):
        value = pick(rng, slot.among) if slot.among else MAKERS[slot.value](rng)
        values.append(value)
        if f"{{{index}}}" in form:
            arguments[taken.name] = as_json(value, taken.kind)
    spec = Spec(pick(rng, known.names), pick(rng, known.about), tuple(takes))
    if not spec.about and spec.name not in known.names[:1]:
        spec = Spec(spec.name, known.about[0], spec.takes)
    question = filled(typed(rng, form), values)
    says = filled(known.says, values)
    return Wish(
        spec, question, Call(spec.name, arguments), known.gives, says, group=known.names[0]
    )


def filled(form: str, values: list[str]) -> str:
    """The form with its values; values may hold anything."""
    for index, value in enumerate(values):
        form = form.replace(f"{{{index}}}", value)
    return form


def typed(rng: Random, form: str) -> str:
    """A question as people type it; what it holds in braces stays."""
    chance = rng.random()
    if chance < 0.08:
        form = pick(rng, OPENERS) + form
    elif chance < 0.18:
        form = form.rstrip("?.!") + pick(rng, CLOSERS)
    if rng.random() < 0.5:
        form = capital(form)
    return form.rstrip("?") if rng.random() < 0.2 else form


def known(rng: Random) -> Wish:
    """A tool that people try first; the simplest ones come more often."""
    return wish(rng, pick(rng, WEIGHTED))


WEIGHTED = [tool for tool in KNOWN for _ in range(4 if tool.names[0] in (
    "get_weather", "add", "read_file", "echo", "search", "get_time") else 1)]  # fmt: skip
