"""Conversations about pictures, as the model reads them: pieces of ChatML, learnt or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from questions import KINDS, NO_PICTURE, OFF_TOPIC, ONLY_PICTURES, Things, ask, worded

START, END, DOCUMENT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
AROUND, WHOLE, ROW = "<fake_token_around_image>", "<global-img>", "<image>"
SPECIALS = (DOCUMENT, START, END, AROUND, WHOLE, ROW)
ROWS = 16
"""Rows of a picture."""
PICTURE = f"{AROUND}{WHOLE}{ROW * ROWS}{AROUND}"
"""How the processor of Idefics3 writes a picture that is not cut into tiles."""
SYSTEMS = (
    "You are a helpful assistant.", "You describe pictures.", "Be brief.", "Answer in few words.",
    "You are a careful observer.", "You are an assistant that sees.",
)  # fmt: skip

Piece: TypeAlias = tuple[str, bool]
"""A stretch of text and whether the model learns to say it."""


@dataclass(frozen=True)
class Turn:
    """pictures: how many new ones the user shows."""

    question: str
    answer: str
    pictures: int = 0


def rendered(turn: Turn, rng: Random) -> list[Piece]:
    """Pictures stand before the question, sometimes behind it."""
    shown = PICTURE * turn.pictures
    behind = bool(shown) and rng.random() < 0.2
    said = turn.question + shown if behind else shown + turn.question
    return [
        (f"{START}user\n{said}{END}\n{START}assistant\n", False),
        (f"{turn.answer}{END}", True),
        ("\n", False),
    ]


def talk(scenes: list[Things], rng: Random, turns: int = 12) -> list[Piece]:
    """A conversation about one picture or several; turns: about the last one."""
    pieces: list[Piece] = []
    if rng.random() < 0.08:
        pieces.append((f"{START}system\n{rng.choice(SYSTEMS)}{END}\n", False))
    for turn in turns_about(scenes, rng, turns):
        pieces += rendered(turn, rng)
    return pieces


def turns_about(scenes: list[Things], rng: Random, turns: int) -> list[Turn]:
    """Pictures come one after the other, and a question is about the latest; or two come in one
    message, and each question says which it is about."""
    said: list[Turn] = []
    if rng.random() < 0.04:
        said.append(off_topic(rng))
    if rng.random() < 0.04:
        said.append(Turn(ask(scenes[0], rng)[0], NO_PICTURE))
    if len(scenes) == 2 and rng.random() < 0.35:
        said.append(Turn(*about_one_of(scenes, rng), pictures=2))
        return said + [Turn(*about_one_of(scenes, rng)) for _ in range(turns)]
    for number, things in enumerate(scenes):
        last = number == len(scenes) - 1
        kinds = kinds_of(rng)
        said.append(Turn(*ask(things, rng, next(kinds)), pictures=1))
        for _ in range(turns if last else rng.randint(0, 1)):
            if rng.random() < 0.02:
                said.append(off_topic(rng))
            elif last and len(scenes) == 2 and rng.random() < 0.15:
                said.append(Turn(*about_one_of(scenes, rng)))
            else:
                said.append(Turn(*ask(things, rng, next(kinds))))
    return said


def kinds_of(rng: Random) -> Iterator[str]:
    """Kinds of questions, none again before each has come; often what is there comes first."""
    first = "what" if rng.random() < 0.5 else None
    while True:
        kinds = [kind for kind in KINDS if kind != first]
        rng.shuffle(kinds)
        yield from ([first] if first else []) + kinds
        first = None


def off_topic(rng: Random) -> Turn:
    return Turn(worded(rng.choice(OFF_TOPIC), rng), ONLY_PICTURES)


def about_one_of(scenes: list[Things], rng: Random) -> tuple[str, str]:
    """What is in the first of two pictures, or in the second."""
    number = rng.randrange(2)
    asked = rng.choice(
        ("What is in the {} {{picture}}?", "What is in the {} {{picture}}?", "And in the {}?",
         "What does the {} {{picture}} show?", "Describe the {} {{picture}}.")
    ).format(("first", "second")[number])  # fmt: skip
    return worded(asked, rng), ask(scenes[number], rng, "what")[1]
