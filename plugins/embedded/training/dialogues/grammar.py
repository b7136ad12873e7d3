"""The story grammar: a hero, a wish, a hurdle, a helper and an ending that fits all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from .hurdles import HARMLESS, HURDLES, RIDDLES
from .plots import FRIEND, PLOTS, Plot
from .turns import article, capital, one, pick
from .words import (
    ANIMALS,
    BOYS,
    CREATURES,
    GIRLS,
    HOMES,
    PEOPLE,
    PLACES,
    TRAITS,
)

SHE = (
    "girl", "princess", "queen", "grandmother", "mermaid", "witch", "fairy", "hen", "cow", "ewe",
    "ladybird", "nurse",
)  # fmt: skip
HE = (
    "boy", "prince", "king", "grandfather", "wizard", "rooster", "snowman", "fisherman",
    "postman", "fireman", "knight",
)  # fmt: skip
PERSONS = {"the old queen": "she", "the wise woman": "she", "the king": "he"}


@dataclass
class Wanted:
    """What somebody asked for; whatever is None is left to chance."""

    hero: str | None = None
    name: str | None = None
    helper: str | None = None
    helper_name: str | None = None
    place: str | None = None
    theme: str | None = None
    trait: str | None = None
    length: str = "normal"
    plot: Plot | None = None
    slots: dict[str, str] = field(default_factory=dict)


@dataclass
class Story:
    """A story's text and what may be asked about it afterwards."""

    text: str
    facts: dict[str, str] = field(default_factory=dict)


def someone(rng: Random, kind: str | None, name: str | None) -> dict[str, str]:
    """A character: kind, name and pronouns, all of which stay the same through the story."""
    if kind is None:
        kind = pick(rng, pick(rng, (ANIMALS, ANIMALS, ANIMALS, PEOPLE, CREATURES)))
    female = name in GIRLS if name else rng.random() < 0.5
    last = kind.split()[-1]
    female = (female or last in SHE) and last not in HE
    if name is None:
        name = pick(rng, GIRLS if female else BOYS)
    he, him, his = ("she", "her", "her") if female else ("he", "him", "his")
    return {"kind": kind, "name": name, "he": he, "him": him, "his": his, "himself": him + "self"}


def words_of(rng: Random, wanted: Wanted, plot: Plot) -> dict[str, str]:
    """Every slot that the sentences may use, filled once for the whole story."""
    hero = someone(rng, wanted.hero, wanted.name)
    helper = someone(rng, wanted.helper, wanted.helper_name)
    while helper["name"] == hero["name"] or (helper["kind"] == hero["kind"] and not wanted.helper):
        helper = someone(rng, wanted.helper, None)
    riddle, answer = pick(rng, RIDDLES)
    words = dict(hero)
    words["friend"] = helper["name"]
    words["fkind"] = helper["kind"]
    words["fhe"], words["fhis"] = helper["he"], helper["his"]
    words["trait"] = wanted.trait or pick(rng, TRAITS)
    words["home"] = pick(rng, HOMES)
    words["place"] = wanted.place or pick(rng, PLACES)
    words["riddle"], words["answer"] = riddle, answer
    words["answer_low"] = answer.lower()
    words["harmless"] = pick(rng, HARMLESS)
    for slot, values in plot.slots.items():
        words[slot] = wanted.slots.get(slot) or pick(rng, values)
    words["relative"] = f"{words['his']} {words.get('kin', 'aunt')}"
    words["spice"] = "a little " + words.get("bare", "salt")
    words["they"] = PERSONS.get(words.get("person", ""), "he")
    if words.get("person", "").endswith(("giant", "keeper", "sailor", "clockmaker")):
        words["they"] = "he"
    words["a_kind"] = article(f"{words['trait']} {words['kind']}")
    words["a_fkind"] = article(words["fkind"])
    words.update({capital(key): capital(value) for key, value in words.items()})
    return words


OPENINGS = (
    "Once upon a time there was {a_kind} named {name}. {He} lived {home}.",
    "Once upon a time, {home}, there lived {a_kind} called {name}.",
    "Long ago there lived {a_kind} whose name was {name}. {His} home was {home}.",
    "There once was {a_kind} named {name} who lived {home}.",
    "Far away, {home}, lived {name}, {a_kind}.",
    "{Name} was {a_kind} who lived {home}.",
    "In the days when the wind could still talk, {a_kind} named {name} lived {home}.",
)
BRIEF_OPENINGS = (
    "Once upon a time there was {a_kind} named {name}.",
    "There once was {a_kind} called {name}.",
    "Long ago there lived {a_kind} named {name}.",
)
MEETINGS = (
    'Just then {a_fkind} named {friend} came by. "What is the matter?" asked {friend}.',
    'At that moment {name} heard a voice. It was {friend}, {a_fkind}. "Can I help you?" {fhe} '
     'asked.',
    'Then {a_fkind} came along. "My name is {friend}," {fhe} said. "Why do you look so sad?"',
    'Luckily {friend}, {a_fkind}, was sitting nearby. "Hello," said {friend}. "What is wrong?"',
    '"Good day," said a friendly voice. It was {a_fkind} named {friend}.',
)
BRIEF_MEETINGS = (
    "Then {a_fkind} named {friend} came by.",
    "Luckily {friend}, {a_fkind}, was nearby.",
    "Just then {name} met {a_fkind} called {friend}.",
)
PLEAS = (
    '"{plea}," said {name}.',
    '"Oh, {friend}, {plea_low}," {name} answered.',
    '{Name} sighed. "{plea}."',
)
THANKS = (
    '"Thank you!" said {name}. "Come with me!" And they went on together.',
    '"I will come with you," said {friend}, and they walked on side by side.',
    "From there they went on together.",
    "{Name} thanked {friend}, and the two of them walked on, singing.",
    '"Two are better than one," said {friend}, and {fhe} came along.',
)
SECOND = (
    "But that was not all. {trouble}",
    "They had not gone far when there was more trouble. {trouble}",
)
ENDINGS = (
    "From that day on, {name} and {friend} were the best of friends.",
    "That night {name} slept well and dreamed of {friend} and the long road.",
    "{Name} thanked {friend} with all {his} heart, and they stayed friends forever.",
    "When {name} came home, {he} told everybody the story, and {friend} came to visit every "
    "Sunday.",
    "And if the north wind has not blown them away, {name} and {friend} are still together today.",
    "{Name} went home happy, and {friend} waved until {he} was out of sight.",
    "And they lived happily ever after.",
)
LAST = ("The end.", "", "", "And that is the end of the story.")


def tell(rng: Random, wanted: Wanted | None = None) -> Story:
    """One story that keeps to what was wanted."""
    wanted = wanted or Wanted()
    plot = wanted.plot or pick(rng, PLOTS)
    words = words_of(rng, wanted, plot)
    brief = wanted.length == "short"
    first, second = rng.sample(HURDLES, 2)
    words["plea"] = pick(rng, first.plea)
    words["plea_low"] = words["plea"] if words["plea"].startswith("I ") else lower(words["plea"])

    def say(options: tuple[str, ...]) -> str:
        return pick(rng, options).format_map(words)

    opening = say(BRIEF_OPENINGS if brief else OPENINGS)
    if wanted.theme:
        opening = theme_line(rng, wanted.theme) + " " + opening
    parts = [f"{opening} {say(plot.wish)} {say(plot.leave)}"]
    meeting = say(BRIEF_MEETINGS) if brief else f"{say(MEETINGS)} {say(PLEAS)}"
    parts.append(f"{say(first.trouble)} {meeting} {say(first.help)}")
    if not brief or plot is FRIEND:
        parts[-1] += " " + say(THANKS)
    if wanted.length == "long":
        # A second hurdle, which the two now take together.
        words["trouble"] = say(second.trouble)
        reply = f'"{pick(rng, second.plea)}," said {words["name"]}.'
        parts.append(f"{say(SECOND)} {reply} {say(second.help)}")
    moral = say(plot.moral)
    closing = say(plot.success)
    if not brief:
        closing += " " + say(ENDINGS)
    last = say(LAST)
    if wanted.theme:
        last = one(rng, f"And that was my story about {wanted.theme}.", last)
    parts.append(closing)
    if rng.random() < 0.4:
        last = f"{moral} {last}"
    text = "\n\n".join(parts) if not brief else " ".join(parts)
    if last.strip():
        text += (" " if brief else one(rng, " ", "\n\n")) + last.strip()
    facts = {key: words[key] for key in ("kind", "name", "friend", "fkind", "place", "he", "his")}
    facts["moral"] = moral
    return Story(text, facts)


def lower(text: str) -> str:
    """The text with a small first letter."""
    return text[:1].lower() + text[1:]


def theme_line(rng: Random, theme: str) -> str:
    """The sentence that says what the story is about, for things that cannot be its hero."""
    return one(
        rng,
        f"Here is a story about {theme}.",
        f"This is a story about {theme}.",
        f"Let me tell you a story about {theme}.",
    )

