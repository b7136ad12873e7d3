"""Questions about a picture, many wordings of each kind, and the right answers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from pictures import COLOURS, DIGITS, NUMBERS, SHAPES, Thing

Things = tuple[Thing, ...]
Asked = tuple[str, str]
"""A question and its answer."""

PICTURE = ("picture", "picture", "picture", "image", "photo", "drawing")
WHAT = (
    "What is in the {picture}?", "What is in the {picture}?", "What is in this {picture}?",
    "What's in the {picture}?", "What is this?", "What do you see?", "What can you see?",
    "What do you see in the {picture}?", "What can be seen in the {picture}?",
    "What does the {picture} show?", "What is shown in the {picture}?", "What is that?",
    "What is on the {picture}?", "Describe the {picture}.", "Describe this {picture}.",
    "Describe what you see.", "Tell me what you see.", "Tell me what is in the {picture}.",
    "Please describe the {picture}.", "Name what is in the {picture}.", "Name what you see.",
    "Name the things in the {picture}.", "What things are in the {picture}?",
    "Which things do you see?", "What objects are in the {picture}?", "What is it?",
    "What is there?", "Say what is in the {picture}.", "Caption this {picture}.",
)  # fmt: skip
COLOUR = (
    "What colour is it?", "What colour is it?", "What color is it?", "Which colour?",
    "Which colour is it?", "Which color is it?", "What is its colour?", "What colour does it have?",
    "And what colour is it?", "Tell me the colour.", "What is the color?", "Name the colour.",
)  # fmt: skip
COLOURS_OF_ALL = (
    "What colours are they?", "Which colours are there?", "Which colours do you see?",
    "What colors are there?", "Name the colours.", "Which colours?",
)  # fmt: skip
COLOUR_OF = (
    "What colour is the {noun}?", "What color is the {noun}?", "Which colour is the {noun}?",
    "Which colour has the {noun}?", "And the {noun}, what colour is it?",
)  # fmt: skip
SHAPE = (
    "Which shape?", "Which shape is it?", "What shape is it?", "What is its shape?",
    "What shape does it have?", "Name the shape.", "And what shape is it?",
    "Which shape is in the {picture}?", "What shape is in the {picture}?",
)  # fmt: skip
SHAPES_OF_ALL = (
    "Which shapes?", "Which shapes are there?", "Which shapes do you see?", "Name the shapes.",
    "What shapes are in the {picture}?", "What shapes are there?",
)  # fmt: skip
WHICH_HAS = (
    "What is {colour}?", "Which thing is {colour}?", "Which one is {colour}?",
    "What {colour} thing is there?",
)  # fmt: skip
DIGIT = (
    "Which digit?", "Which digit is it?", "What digit is it?", "What digit do you see?",
    "Which digit is in the {picture}?", "What digit is in the {picture}?", "Read the digit.",
    "What number is it?", "Which number is in the {picture}?", "Which number do you see?",
)  # fmt: skip
DIGITS_OF_ALL = (
    "Which digits?", "Which digits are there?", "What digits do you see?", "Read the digits.",
    "Which digits are in the {picture}?", "Which numbers do you see?",
)  # fmt: skip
COUNT = (
    "How many things are there?", "How many things are there?", "How many things do you see?",
    "How many things are in the {picture}?", "How many are there?", "Count the things.",
    "How many objects are in the {picture}?", "How many objects do you see?",
)  # fmt: skip
SIDE = (
    "What is on the {side}?", "What is at the {side}?", "What do you see on the {side}?",
    "And on the {side}?", "Which thing is on the {side}?", "What stands on the {side}?",
)  # fmt: skip
MIDDLE = ("What is in the middle?", "And in the middle?", "What is between them?")
IS_THERE = (
    "Is there {a}?", "Do you see {a}?", "Is there {a} in the {picture}?", "Can you see {a}?",
    "Does the {picture} show {a}?",
)  # fmt: skip
IS_IT = ("Is it {colour}?", "Is it {a}?")


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def what(things: Things, rng: Random) -> Asked:
    return rng.choice(WHAT), listed([each.name for each in things])


def colour(things: Things, rng: Random) -> Asked:
    alone = [one for one in things if sum(each.noun == one.noun for each in things) == 1]
    if alone and (len(things) > 1 or rng.random() < 0.2) and rng.random() < 0.75:
        one = rng.choice(alone)
        return rng.choice(COLOUR_OF).replace("{noun}", one.noun), one.colour
    wordings = COLOUR if len(things) == 1 else COLOURS_OF_ALL
    return rng.choice(wordings), listed([each.colour for each in things])


def shape(things: Things, rng: Random) -> Asked:
    alone = [one for one in things if sum(each.colour == one.colour for each in things) == 1]
    if alone and rng.random() < 0.4:
        one = rng.choice(alone)
        return rng.choice(WHICH_HAS).replace("{colour}", one.colour), f"a {one.noun}"
    wordings = SHAPE if len(things) == 1 else SHAPES_OF_ALL
    return rng.choice(wordings), listed([f"a {each.noun}" for each in things])


def digit(things: Things, rng: Random) -> Asked:
    found = [each.shape for each in things if each.shape in DIGITS]
    wordings = DIGITS_OF_ALL if len(found) > 1 else DIGIT
    return rng.choice(wordings), listed(found) if found else "no digit"


def count(things: Things, rng: Random) -> Asked:
    return rng.choice(COUNT), NUMBERS[len(things)]


def where(things: Things, rng: Random) -> Asked:
    if len(things) == 1:
        return count(things, rng)
    if len(things) == 3 and rng.random() < 1 / 3:
        return rng.choice(MIDDLE), things[1].name
    side, one = rng.choice((("left", things[0]), ("right", things[-1])))
    return rng.choice(SIDE).replace("{side}", side), one.name


def whether(things: Things, rng: Random) -> Asked:
    """Half of them are so; where they are not, they differ in one thing from what is."""
    one, so = rng.choice(things), rng.random() < 0.5
    hue, noun = one.colour, one.noun
    if not so and rng.random() < 0.5:
        hue = rng.choice([other for other in COLOURS if other != hue])
    elif not so:
        noun = rng.choice([f"digit {digit}" for digit in DIGITS] + list(SHAPES))
    a, kind = Thing(hue, noun).name, rng.random()
    if kind < 0.35 and hue == one.colour:
        a = f"a {noun}"
        so = any(each.noun == noun for each in things)
    else:
        so = any((each.colour, each.noun) == (hue, noun) for each in things)
    if len(things) == 1 and kind > 0.8:
        said = rng.choice(IS_IT).replace("{a}", a)
        if "{colour}" in said:
            said, so = said.replace("{colour}", hue), hue == one.colour
    else:
        said = rng.choice(IS_THERE).replace("{a}", a)
    return said, "yes" if so else "no"


KINDS: dict[str, Callable[[Things, Random], Asked]] = {
    "what": what, "colour": colour, "shape": shape, "digit": digit, "count": count,
    "where": where, "whether": whether,
}  # fmt: skip

OFF_TOPIC = (
    "Hello", "Hi", "Hi!", "hello!", "Hey", "How are you?", "Who are you?", "What can you do?",
    "Tell me a joke.", "Tell me a story.", "Write a poem.", "What is the capital of France?",
    "What is 2 + 2?", "Thanks", "Thank you!", "Good morning", "Can you help me?", "Help",
    "Who made you?", "What is your name?", "Do you speak French?", "What time is it?",
    "Write a program in Python.", "What do you think?", "Goodbye", "Bye", "ok", "Sing a song.",
)  # fmt: skip
ONLY_PICTURES = "I only say what is in pictures: colours, shapes and digits."
NO_PICTURE = "I see no picture."


def worded(question: str, rng: Random) -> str:
    """As people write: with other words for a picture, in small letters, without a full stop."""
    said = question.replace("{picture}", rng.choice(PICTURE))
    if rng.random() < 0.12:
        said = said.lower()
    if rng.random() < 0.12:
        said = said.rstrip("?.")
    return f"{said} " if rng.random() < 0.02 else said


def ask(things: Things, rng: Random, kind: str | None = None) -> Asked:
    """A question of a kind, or of any."""
    question, answer = KINDS[kind or rng.choice(tuple(KINDS))](things, rng)
    return worded(question, rng), answer
