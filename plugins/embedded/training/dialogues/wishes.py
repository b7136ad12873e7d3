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
ASKING = {"what", "what's", "how", "is", "will", "do", "does", "which", "who"}
TELLING = {
    "add", "book", "calculate", "check", "compute", "convert", "count", "create", "delete", "echo",
    "evaluate", "find", "get", "give", "google", "list", "look", "make", "multiply", "open", "play",
    "print", "put", "read", "remind", "remove", "repeat", "reserve", "reverse", "roll", "save", "say",
    "search", "send", "set", "show", "solve", "start", "switch", "take", "translate", "turn", "wake",
    "write",
}  # fmt: skip
"""How questions begin, and how orders do, before which different things are said."""
BEFORE_QUESTIONS = (
    "can you tell me ", "could you tell me ", "tell me, ", "do you know ", "I want to know: ",
    "please tell me ", "I would like to know ", "quick question: ", "any idea ",
)  # fmt: skip
BEFORE_ORDERS = (
    "can you ", "could you ", "could you please ", "would you ", "can you please ", "I want you to ",
    "I need you to ", "go ahead and ", "I would like you to ", "will you ", "let's ",
)  # fmt: skip
FIRST = (
    "I have a question. ", "Good morning! ", "I am in a hurry. ", "One more thing: ", "Hi there! ",
    "I need your help. ", "I am planning a trip. ", "Hello again. ", "Good evening. ",
)  # fmt: skip
LAST = (" for me", " right now", ", if you can", " for me please", ", thank you", " if possible")
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
    question = filled(typed(rng, led_up_to(rng, form)), values)
    says = filled(known.says, values)
    return Wish(
        spec, question, Call(spec.name, arguments), known.gives, says, group=known.names[0]
    )


def filled(form: str, values: list[str]) -> str:
    """The form with its values; values may hold anything."""
    for index, value in enumerate(values):
        form = form.replace(f"{{{index}}}", value)
    return form


def led_up_to(rng: Random, form: str) -> str:
    """A question or an order with what people say around it."""
    word = form.split(" ")[0]
    leads = BEFORE_QUESTIONS if word in ASKING else BEFORE_ORDERS if word in TELLING else ()
    if leads and rng.random() < 0.25:
        form = pick(rng, leads) + form
    chance = rng.random()
    if chance < 0.06:
        return pick(rng, FIRST) + form
    if chance < 0.12:
        return form.rstrip("?") + pick(rng, LAST) + ("?" if form.endswith("?") else "")
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
