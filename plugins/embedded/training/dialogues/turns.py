"""The pieces every kind of dialogue is made of: turns, choices and the untidy way people type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias, TypeVar

Turn: TypeAlias = dict[str, str]
Dialogue: TypeAlias = list[Turn]
Kind: TypeAlias = Callable[[Random], Dialogue]

T = TypeVar("T")


def one(rng: Random, *options: T) -> T:
    """One of the arguments."""
    return options[int(rng.random() * len(options))]


def pick(rng: Random, options: Sequence[T]) -> T:
    """One element of a sequence; faster than `Random.choice`."""
    return options[int(rng.random() * len(options))]


def exchange(question: str, answer: str) -> Dialogue:
    """One question and its answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def article(noun: str) -> str:
    """The noun with "a" or "an" before it."""
    vowel = noun[0].lower() in "aeiou" and not noun.lower().startswith(("uni", "eu", "one"))
    return f"an {noun}" if vowel else f"a {noun}"


def capital(text: str) -> str:
    """The text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


OPENERS = ("please ", "hey, ", "hi, ", "hello, ", "ok, ", "so, ", "now ", "well, ", "um, ", "okay ")
CLOSERS = (" please", ", please", " thanks", ", thank you", " :)", " now", "!", " pls")


def untidy(rng: Random, text: str) -> str:
    """The text as somebody might type it: other case, other punctuation, now and then a slip."""
    chance = rng.random()
    if chance < 0.06:
        text = pick(rng, OPENERS) + text
    elif chance < 0.12:
        text = text.rstrip("?.!") + pick(rng, CLOSERS)
    chance = rng.random()
    if chance < 0.30:
        text = text.lower()
    elif chance < 0.65:
        text = capital(text)
    elif chance < 0.68:
        text = text.upper()
    chance = rng.random()
    if chance < 0.25:
        text = text.rstrip("?.!") or text
    elif chance < 0.30:
        text = text.rstrip(".") + one(rng, "!", ".", "?", "??", " ?", "...", "!!")
    if len(text) > 8 and rng.random() < 0.04:
        text = slip(rng, text)
    return text


def slip(rng: Random, text: str) -> str:
    """The text with one letter lost, doubled or swapped with its neighbour."""
    at = rng.randrange(1, len(text) - 2)
    return one(
        rng,
        text[:at] + text[at + 1 :],
        text[:at] + text[at] + text[at:],
        text[:at] + text[at + 1] + text[at] + text[at + 2 :],
    )


ONSETS: tuple[str, ...] = (
    "b", "bl", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n",
    "p", "pl", "qu", "r", "s", "sh", "sn", "st", "t", "th", "tr", "v", "w", "y", "z", "",
)  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "a", "e", "i", "o", "ee", "oo", "ai", "ou", "ea")
CODAS = ("", "", "", "n", "r", "l", "m", "t", "s", "ck", "ng", "p", "d", "x", "ll", "st", "nd")


def made_up(rng: Random, longest: int = 3) -> str:
    """A word that no list holds, so that copying is learnt and not only the lists."""
    count = 1 + int(rng.random() * longest)
    word = "".join(pick(rng, ONSETS) + pick(rng, VOWELS) + pick(rng, CODAS) for _ in range(count))
    return word if len(word) > 2 else word + "bo"
