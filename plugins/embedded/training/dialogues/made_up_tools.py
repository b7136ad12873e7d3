"""Tools that nobody has: names, parameters and types from chance, so that a schema must be read."""

from __future__ import annotations

from random import Random
from typing import Any

from .hermes import Call, Spec, Taken
from .turns import capital, made_up, one, pick
from .values import MAKERS, NOUNS
from .wishes import Wish, as_json

VERBS = (
    "get", "find", "show", "open", "close", "start", "stop", "order", "book", "count", "check",
    "send", "create", "delete", "update", "buy", "sell", "move", "paint", "clean", "lock", "unlock",
    "print", "record", "measure", "fetch", "list", "schedule", "cancel", "pay", "set", "use", "fix",
    "wash", "feed", "call", "hide", "draw", "cook", "test", "load", "copy", "rename", "add",
)  # fmt: skip
OBJECTS = (
    "lamp", "order", "ticket", "room", "flight", "train", "meeting", "customer", "invoice", "report",
    "door", "window", "robot", "engine", "camera", "account", "recipe", "playlist", "message",
    "package", "event", "task", "product", "price", "score", "server", "database", "table", "record",
    "image", "photo", "video", "song", "game", "level", "map", "route", "car", "pump", "sensor",
    "valve", "garden", "shop", "menu", "letter", "page", "project", "branch", "issue", "user",
)  # fmt: skip
PARAMETERS: dict[str, tuple[str, ...]] = {
    "string": (
        "name", "title", "color", "owner", "city", "status", "label", "key", "note", "reason",
        "author", "type", "format", "mode", "start_date", "user_name", "order_id", "folder", "code",
        "category", "message", "target", "source", "language", "address", "time", "who", "what",
    ),
    "integer": (
        "count", "number", "size", "limit", "amount", "level", "id", "age", "year", "hours",
        "minutes", "width", "height", "speed", "page", "max_results", "quantity", "room_number",
    ),
    "number": ("price", "weight", "temperature", "distance", "factor", "ratio", "length", "budget"),
    "boolean": ("active", "urgent", "public", "fast", "verbose", "loud", "hidden", "dry_run", "express"),
}  # fmt: skip
CHOICES = (
    ("low", "medium", "high"), ("small", "large"), ("red", "green", "blue"), ("asc", "desc"),
    ("left", "right"), ("draft", "final"), ("fast", "slow"), ("first", "second"), ("hot", "cold"),
    ("daily", "weekly", "monthly"), ("north", "south", "east", "west"), ("open", "closed"),
    ("celsius", "fahrenheit"), ("csv", "json", "xml"),
)  # fmt: skip
STRINGS = ("thing", "person", "city", "words", "code", "file", "date", "clock", "thing", "person", "integer")
YES, NO = ("{p} true", "{p} on", "{p} yes"), ("{p} false", "{p} off", "{p} no")
WISHES = (
    "{x}", "{x}", "{x}", "please {x}", "can you {x}?", "could you {x}?", "I want to {x}", "{x} please",
    "I need to {x}", "I would like to {x}",
)  # fmt: skip


def parameter(rng: Random, taken: set[str]) -> Taken:
    """One of another name than those taken."""
    if rng.random() < 0.12:
        choice = pick(rng, CHOICES)
        if rng.random() < 0.4:
            choice = tuple(dict.fromkeys(made_up(rng, 2) for _ in range(one(rng, 2, 3))))
        kind, names = "string", ("mode", "size", "order", "kind", "which", "level", "unit", "option")
    else:
        choice = ()
        kind = one(rng, "string", "string", "string", "integer", "integer", "number", "boolean")
        names = PARAMETERS[kind]
    while True:
        name = made_up(rng, 2) if rng.random() < 0.2 else pick(rng, names)
        if name not in taken:
            taken.add(name)
            return Taken(name, kind, optional=rng.random() < 0.25, among=choice)


def tool_name(rng: Random, verb: str, noun: str) -> str:
    """A function's name, in one of the usual styles."""
    chance = rng.random()
    if chance < 0.12:
        return made_up(rng, 3)
    if chance < 0.2:
        return f"{made_up(rng, 2)}_{verb}_{noun}"
    if chance < 0.26:
        return f"{verb}{capital(noun)}"
    if chance < 0.32:
        return f"{noun}_{verb}"
    return f"{verb}_{noun}" if chance < 0.9 else f"{verb}_{noun}s"


def made(rng: Random, like: Wish | None = None) -> Wish:
    """A tool and what somebody wants of it. like: another one to be mistaken for."""
    verb = pick(rng, VERBS)
    noun = made_up(rng, 2) if rng.random() < 0.25 else pick(rng, one(rng, OBJECTS, OBJECTS, NOUNS))
    if like and like.topic:
        verb, noun = (like.topic[0], noun) if rng.random() < 0.5 else (verb, like.topic[1])
    name = tool_name(rng, verb, noun.replace(" ", "_"))
    names: set[str] = set()
    takes = sorted(
        (parameter(rng, names) for _ in range(one(rng, 0, 1, 1, 1, 2, 2, 3))),
        key=lambda taken: taken.optional,
    )
    about = one(
        rng, f"{capital(verb)} a {noun}.", f"{capital(verb)} the {noun}.", f"{capital(verb)} {noun}s",
        f"{capital(verb)} a {noun}.", "",
    )  # fmt: skip
    if verb not in name and not about:
        about = f"{capital(verb)} a {noun}."
    spec = Spec(name, about, tuple(takes))
    given, arguments = spoken(rng, spec)
    if rng.random() < 0.15:
        what = one(rng, f"call {name}", f"use {name}", f"run {name}")
    else:
        what = f"{verb} {one(rng, 'the', 'the', 'a', 'my')} {noun}"
    if len(given) == 1 and len(arguments) == 1:
        (bare,) = [said for said in given if said]
        what += " " + bare
    elif given:
        head = one(rng, " with ", " with ", ", ", ": ")
        what += head + (", ".join(given[:-1]) + " and " + given[-1] if len(given) > 1 else given[0])
    question = pick(rng, WISHES).format_map({"x": what})
    gives = one(rng, "integer", "words", "done", "done", "thing", "number", "name")
    says = "{r}" if gives == "done" else "The result is {r}."
    return Wish(spec, question, Call(name, arguments), gives, says, (verb, noun))


def spoken(rng: Random, spec: Spec) -> tuple[list[str], dict[str, Any]]:
    """What is said of each parameter, in any order, and the arguments in the tool's order."""
    arguments: dict[str, Any] = {}
    parts: list[str] = []
    alone = len(spec.takes) == 1
    for taken in spec.takes:
        if taken.optional and rng.random() < 0.5:
            continue
        called = taken.name.replace("_", " ")
        if taken.kind == "boolean":
            yes = rng.random() < 0.5
            arguments[taken.name] = yes
            parts.append(pick(rng, YES if yes else NO).replace("{p}", called))
            continue
        if taken.among:
            value = pick(rng, taken.among)
        elif taken.kind == "string":
            value = MAKERS[pick(rng, STRINGS)](rng)
        else:
            value = MAKERS[taken.kind](rng)
        arguments[taken.name] = as_json(value, taken.kind)
        shown = f'"{value}"' if " " in value and rng.random() < 0.8 else value
        if alone and " " not in shown and rng.random() < 0.6:
            parts.append(one(rng, "{v}", "for {v}", "of {v}", "{v}").replace("{v}", shown))
        else:
            form = one(rng, "{p} {v}", "{p} {v}", "{p} {v}", "{p} = {v}", "{p}: {v}", "the {p} {v}")
            said = form.replace("{p}", called).replace("{v}", shown)
            parts.append(f"with {said}" if alone and rng.random() < 0.7 else said)
    rng.shuffle(parts)
    return parts, arguments
