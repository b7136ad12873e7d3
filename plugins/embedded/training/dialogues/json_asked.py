"""Answers in JSON: with members that are named, of a schema, or of what a sentence says."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from .hermes import Spec, Taken, schema
from .made_up_tools import parameter
from .turns import Dialogue, exchange, made_up, one, pick
from .values import MAKERS
from .wishes import as_json, typed

STRINGS = ("thing", "person", "city", "words", "code", "date", "person", "thing")
MEMBERS = (
    "give me JSON with {m}", "write a JSON object with {m}", "a JSON object with {m}", "JSON with {m}",
    "make JSON: {m}", "answer in JSON: {m}", "as JSON please: {m}", "reply with a JSON object with {m}",
    "I need JSON with {m}", "return JSON with {m}",
)  # fmt: skip
EXTRACTS = (
    "extract {k} as JSON: {s}", "{s} Give me {k} as JSON.", "answer in JSON with {k}. {s}",
    "{s} Write {k} as JSON.", "find {k} and answer in JSON: {s}", "JSON with {k}: {s}", "{s} JSON with {k}.",
)  # fmt: skip
SCHEMAS = (
    "{s}\n\nAnswer with JSON of this schema: {j}", "Answer in JSON. Schema: {j}\n\n{s}",
    "Use this JSON schema: {j}\n{s}", "{s} Reply with JSON that fits {j}",
)  # fmt: skip
SENTENCES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("{0} lives in {1}.", (("name", "person"), ("city", "city"))),
    ("{0} is {1} years old.", (("name", "person"), ("age", "integer"))),
    ("{0} is {1} years old and lives in {2}.", (("name", "person"), ("age", "integer"), ("city", "city"))),
    ("{0} from {1} is {2}.", (("name", "person"), ("city", "city"), ("age", "integer"))),
    ("My name is {0} and I am {1}.", (("name", "person"), ("age", "integer"))),
    ("My name is {0} and I live in {1}.", (("name", "person"), ("city", "city"))),
    ("The {0} costs {1}.", (("product", "thing"), ("price", "number"))),
    ("We sold {1} pieces of {0}.", (("item", "thing"), ("count", "integer"))),
    ("{0} bought a {1} for {2}.", (("name", "person"), ("product", "thing"), ("price", "number"))),
    ("{0} meets {1} on {2}.", (("first", "person"), ("second", "person"), ("day", "date"))),
    ("The train to {0} leaves at {1}.", (("city", "city"), ("time", "clock"))),
    ("The book {0} is by {1}.", (("title", "thing"), ("author", "person"))),
    ("{0} works for {1}.", (("name", "person"), ("company", "person"))),
    ("Write to {0} at {1}.", (("name", "person"), ("email", "address"))),
)  # fmt: skip


def listed(names: list[str]) -> str:
    """Names as in a sentence."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def members(rng: Random) -> Dialogue:
    """An object whose members the request names with their values."""
    taken: set[str] = set()
    said, data = [], {}
    for _ in range(one(rng, 1, 2, 2, 3)):
        wanted = parameter(rng, taken)
        if wanted.kind == "boolean":
            value = one(rng, "true", "false")
            data[wanted.name] = value == "true"
        elif wanted.kind == "string":
            value = MAKERS[pick(rng, STRINGS)](rng)
            data[wanted.name] = value
        else:
            value = MAKERS[wanted.kind](rng)
            data[wanted.name] = as_json(value, wanted.kind)
        said.append(one(rng, "{p} {v}", "{p} {v}", "{p} = {v}", "{p}: {v}")
                    .format(p=wanted.name, v=f'"{value}"' if " " in value else value))
    question = typed(rng, pick(rng, MEMBERS)).replace("{m}", listed(said))
    return exchange(question, json.dumps(data, ensure_ascii=False))


def extracted(rng: Random) -> Dialogue:
    """What a sentence says, under names that are given, alone or in a schema."""
    form, parts = pick(rng, SENTENCES)
    sentence, data, takes = form, {}, []
    for index, (name, kind) in enumerate(parts):
        value = MAKERS[kind](rng)
        sentence = sentence.replace(f"{{{index}}}", value)
        called = made_up(rng, 2) if rng.random() < 0.05 else name
        json_kind = kind if kind in ("integer", "number") else "string"
        data[called] = as_json(value, json_kind)
        takes.append(Taken(called, json_kind))
    if rng.random() < 0.35:
        takes = takes[: max(1, len(takes) - 1)]
    if rng.random() < 0.4:
        rng.shuffle(takes)
    data = {taken.name: data[taken.name] for taken in takes}
    if rng.random() < 0.5:
        names = listed([one(rng, "the ", "the ", "") + taken.name for taken in takes])
        question = typed(rng, pick(rng, EXTRACTS)).replace("{k}", names).replace("{s}", sentence)
    else:
        wanted = json.dumps(of_schema(rng, takes))
        question = pick(rng, SCHEMAS).replace("{j}", wanted).replace("{s}", sentence)
    return exchange(question, json.dumps(data, ensure_ascii=False))


def of_schema(rng: Random, takes: list[Taken]) -> dict[str, Any]:
    """A schema, as short or as long as people write them."""
    whole: dict[str, Any] = schema(Spec("x", "", tuple(takes)))["function"]["parameters"]
    if rng.random() < 0.4:
        del whole["required"]
    return whole


def json_asked(rng: Random) -> Dialogue:
    """One request for JSON."""
    return members(rng) if rng.random() < 0.4 else extracted(rng)
