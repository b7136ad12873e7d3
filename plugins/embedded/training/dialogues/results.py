"""What tools answer, and how that is said."""

from __future__ import annotations

import json
from random import Random
from typing import NamedTuple

from .turns import made_up, one, pick
from .values import MAKERS, NOUNS, city, words

SKIES = (
    "rain", "sunny", "cloudy", "snow", "fog", "windy", "clear", "storm", "light rain", "overcast",
    "hail", "warm and dry", "cold and wet", "mild", "heavy snow", "thunder", "drizzle", "hot",
)  # fmt: skip
PARTS = ("sky", "temperature", "wind", "humidity", "status", "value", "name", "total", "count", "unit")
DONE = ("ok", "done", "OK", "Done.", "true", "saved", "sent", "success", "null", "None")
FAILURES = (
    "{w}", "no such file: {f}", "{n} gave no answer within {i} s", "{n} failed: ValueError: {w}",
    "{f} not found", "connection refused", "the server {n} is down", "not allowed", "unknown {n}",
)  # fmt: skip


class Result(NamedTuple):
    """What a tool gave, and the same in an answer."""

    text: str
    said: str
    failed: bool = False


def result(rng: Random, kind: str, same: str = "") -> Result:
    """The result of a call. same: what an echo gives back."""
    if rng.random() < 0.06:
        return failure(rng)
    if kind == "same":
        return plain(one(rng, same, same, f"echo: {same}"))
    if kind == "done":
        text = pick(rng, DONE)
        return Result(text, "Done.")
    if kind == "list":
        return listed(rng)
    if rng.random() < (0.3 if kind == "sky" else 0.12):
        return members(rng)
    if kind == "sky":
        return plain(sky(rng))
    if kind == "text":
        return plain(long_text(rng))
    if kind == "name":
        return plain(city(rng))
    return plain(MAKERS[kind](rng))


def plain(text: str) -> Result:
    return Result(text, text.rstrip("."))


def failure(rng: Random) -> Result:
    """An error, in the words that models are told of it."""
    slots = {"w": words(rng), "f": MAKERS["file"](rng), "n": made_up(rng), "i": str(rng.randrange(90))}
    text = pick(rng, FAILURES).format_map(slots)
    return Result(f"error: {text}", text.rstrip("."), failed=True)


def sky(rng: Random) -> str:
    """Weather as functions give it."""
    degrees = rng.randrange(-20, 42)
    form = one(
        rng, "{s}", "{s}", "{s}, {d} degrees", "{s} in {c}", "It is {s}.", "{d} degrees", "{s}, {d} C",
        "{d} degrees and {s}", "{s}, wind from the {w}", "{d}", "{s}, {d}°C",
    )  # fmt: skip
    wind = one(rng, "north", "south", "east", "west")
    found = made_up(rng, 2) if rng.random() < 0.2 else pick(rng, SKIES)
    return form.format(s=found, d=degrees, c=city(rng), w=wind)


def long_text(rng: Random) -> str:
    """Some words, as in a short file."""
    lines = [words(rng, 8) for _ in range(one(rng, 1, 1, 2, 3))]
    return one(rng, ", ", ". ", " - ").join(lines)


def listed(rng: Random) -> Result:
    """Several things, a line each or as JSON."""
    found = [
        MAKERS["file"](rng) if rng.random() < 0.5 else pick(rng, NOUNS)
        for _ in range(one(rng, 1, 2, 3, 4))
    ]
    text = json.dumps(found) if rng.random() < 0.5 else "\n".join(found)
    return Result(text, ", ".join(found))


def members(rng: Random) -> Result:
    """A JSON object, whose members are said one after the other."""
    names = rng.sample(PARTS, one(rng, 1, 2, 2, 3))
    if rng.random() < 0.3:
        names[0] = made_up(rng, 2)
    values = {
        name: rng.randrange(200) if rng.random() < 0.5 else one(rng, pick(rng, SKIES), made_up(rng))
        for name in names
    }
    said = ", ".join(f"{name} {value}" for name, value in values.items())
    return Result(json.dumps(values), said)
