"""Requests to say something again, which teach a small model to copy."""

from __future__ import annotations

from random import Random

from .turns import Dialogue, exchange, one, pick
from .values import MAKERS, words
from .wishes import typed

ASKS = (
    'repeat "{x}"', 'say "{x}"', "repeat after me: {x}", "say this: {x}", "repeat: {x}", "copy: {x}",
    'write "{x}"', 'repeat this: "{x}"', 'copy this text: "{x}"', "say the words: {x}",
)  # fmt: skip
MIDDLE = (
    "{a} is {b}. {rest} what is {a}?", "{a} has {b}. {rest} what has {a}?",
    "{a} lives in {b}. {rest} where does {a} live?", "{a} likes {b}. {rest} what does {a} like?",
    "{a} costs {b}. {rest} what does {a} cost?",
)  # fmt: skip
KINDS = ("words", "words", "person", "city", "thing", "code", "file", "number", "address", "sum")


def repeated(rng: Random) -> Dialogue:
    """Some words, and the same again."""
    text = words(rng, one(rng, 6, 20)) if rng.random() < 0.5 else MAKERS[pick(rng, KINDS)](rng)
    return exchange(typed(rng, pick(rng, ASKS)).replace("{x}", text), text)


def looked_up(rng: Random) -> Dialogue:
    """Facts that nobody knew, and a question about one of them."""
    form = pick(rng, MIDDLE)
    fact, question = form.split(" {rest} ")
    pairs = [
        (MAKERS["person"](rng), MAKERS[one(rng, "thing", "person", "city", "integer")](rng))
        for _ in range(one(rng, 2, 2, 3, 4))
    ]
    asked = pick(rng, pairs)
    facts = " ".join(fact.format(a=a, b=b) for a, b in pairs)
    reply = fact.format(a=asked[0], b=asked[1])
    return exchange(f"{facts} {question.format(a=asked[0])}", reply)


def copying(rng: Random) -> Dialogue:
    """One of the two."""
    return repeated(rng) if rng.random() < 0.5 else looked_up(rng)
