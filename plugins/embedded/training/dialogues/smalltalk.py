"""Greetings, thanks, feelings, jokes and questions about the model itself."""

from __future__ import annotations

from random import Random

from .lines import JOKE_ASKS, JOKES, LINES
from .turns import Dialogue, capital, exchange, made_up, one, pick, untidy
from .words import BOYS, GIRLS


def line(rng: Random) -> Dialogue:
    """One remark and its reply."""
    asked, answers = pick(rng, WEIGHTED)
    return exchange(untidy(rng, pick(rng, asked)), pick(rng, answers))


def joke(rng: Random) -> Dialogue:
    """A joke, and now and then what is said after it."""
    talk = exchange(untidy(rng, pick(rng, JOKE_ASKS)), pick(rng, JOKES))
    if rng.random() < 0.5:
        asked = one(rng, "another one", "haha", "lol", "that was funny", "one more", "again",
        "not funny")
        if asked in ("another one", "one more", "again"):
            talk += exchange(untidy(rng, asked), pick(rng, JOKES))
        elif asked == "not funny":
            talk += exchange(untidy(rng, asked),
            "I am sorry! I am better at stories. Shall I tell one?")
        else:
            talk += exchange(untidy(rng, asked), "I am glad you laughed! Shall I tell another one?")
    return talk


def introduction(rng: Random) -> Dialogue:
    """Somebody says their name, and later asks for it."""
    name = capital(made_up(rng, 2)) if rng.random() < 0.4 else pick(rng, GIRLS + BOYS)
    said = one(
        rng, "my name is {n}", "I am {n}", "I'm {n}", "hi, I am {n}", "hello, my name is {n}",
        "call me {n}", "hi, my name is {n}", "you can call me {n}", "hello, I'm {n}",
        "hey, I'm {n}",
    ).format(n=name)  # fmt: skip
    talk = exchange(capital(said) + one(rng, "", ".", "!"),
    f"Nice to meet you, {name}! What can I do for you?")
    for _ in range(one(rng, 0, 0, 1)):
        talk += line(rng)
    if rng.random() < 0.6:
        asked = one(rng, "what is my name?", "what's my name?", "do you remember my name?",
        "who am I?",
                    "do you know my name?")  # fmt: skip
        talk += exchange(untidy(rng, asked), f"Your name is {name}.")
    return talk


def smalltalk(rng: Random) -> Dialogue:
    """One to three remarks in a row."""
    chance = rng.random()
    if chance < 0.14:
        return joke(rng)
    if chance < 0.22:
        return introduction(rng)
    talk = line(rng)
    while rng.random() < 0.25 and len(talk) < 6:
        talk += line(rng)
    return talk


WEIGHTED = [entry for entry in LINES for _ in range(3 + len(entry[0]))]
