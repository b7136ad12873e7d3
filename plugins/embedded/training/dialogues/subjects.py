"""What a story may be asked to be about, and what that means for the story."""

from __future__ import annotations

from random import Random

from .grammar import Wanted
from .plots import (
    BABY,
    CONTEST,
    FRIEND,
    GIFT,
    HAT,
    LEARN,
    LETTER,
    LOST,
    MAP,
    NOISE,
    SEE,
    SEED,
    SOUP,
    STAR,
    Plot,
)
from .turns import article, capital, made_up, one, pick
from .words import ANIMALS, BOYS, CREATURES, GIRLS, PEOPLE, PLACES, THEMES, THINGS, TRAITS

CLAUSES: tuple[tuple[str, Plot, str], ...] = (
    ("who wants to learn to {v}", LEARN, "skill"), ("who cannot {v}", LEARN, "skill"),
    ("who learns to {v}", LEARN, "skill"), ("that learns to {v}", LEARN, "skill"),
    ("who wants to {v}", LEARN, "skill"), ("who can't {v}", LEARN, "skill"),
    ("who wants to see {v}", SEE, "wonder"), ("who has never seen {v}", SEE, "wonder"),
    ("who looks for a friend", FRIEND, ""), ("who has no friends", FRIEND, ""),
    ("who is lonely", FRIEND, ""), ("who makes a friend", FRIEND, ""),
    ("who cannot sleep", NOISE, ""), ("who hears a strange noise", NOISE, ""),
    ("who finds a treasure", MAP, ""), ("who finds a map", MAP, ""),
    ("who looks for a treasure", MAP, ""), ("who plants a seed", SEED, ""),
    ("who has a garden", SEED, ""), ("who cooks {v}", SOUP, "dish"), ("who makes {v}", SOUP,
    "dish"),
    ("who loses {his} hat", HAT, ""), ("and the wind", HAT, ""), ("who meets the north wind", HAT,
    ""),
    ("who finds a star", STAR, ""), ("and a star", STAR, ""), ("who helps a star", STAR, ""),
    ("who loses something", LOST, ""), ("who lost a {v}", LOST, "treasure"),
    ("who takes part in {v}", CONTEST, "contest"), ("who wants to win {v}", CONTEST, "contest"),
)  # fmt: skip
FITTING: dict[str, tuple[Plot, ...]] = {
    "friendship": (FRIEND,), "love": (GIFT, BABY), "courage": (NOISE,), "bravery": (NOISE,),
    "being brave": (NOISE,),
    "kindness": (BABY, GIFT), "the wind": (HAT,), "the north wind": (HAT,), "sharing": (SOUP, MAP),
    "patience": (SEED, LEARN), "night": (NOISE, STAR), "the stars": (STAR,), "food": (SOUP,),
    "home": (BABY,),
    "treasure": (MAP,), "a treasure": (MAP,), "a birthday": (GIFT,), "a party": (LETTER,),
    "family": (GIFT, BABY),
    "hope": (LOST, SEED), "a journey": (SEE,), "adventure": (MAP, SEE), "spring": (SEED,),
    "school": (LEARN,),
    "going to school": (LEARN,), "a lost key": (LOST,), "a promise": (LETTER,), "a garden": (SEED,),
    "a storm": (HAT,), "fear": (NOISE,), "a race": (CONTEST,), "cooking": (SOUP,), "a letter": (LETTER,),
    "learning": (LEARN,), "a wish": (SEE,), "space": (STAR,),
}  # fmt: skip
ODD = {"mouse": "mice", "goose": "geese", "wolf": "wolves", "elf": "elves", "calf": "calves",
"leaf": "leaves",
       "child": "children", "sheep": "sheep", "fish": "fish", "deer": "deer", "moose": "moose",
       "squid": "squid",
       "fisherman": "fishermen", "fireman": "firemen", "postman": "postmen", "snowman": "snowmen",
       "dwarf": "dwarves", "knife": "knives"}  # fmt: skip


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun in ODD:
        return ODD[noun]
    if noun.endswith("y") and noun[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def hero(rng: Random) -> str:
    """Somebody or something that a story may be about."""
    chance = rng.random()
    if chance < 0.22:
        return made_up(rng)
    if chance < 0.56:
        return pick(rng, ANIMALS)
    if chance < 0.70:
        return pick(rng, CREATURES)
    if chance < 0.84:
        return pick(rng, PEOPLE)
    return pick(rng, THINGS)


def name(rng: Random) -> str:
    """A name, now and then one that nobody has."""
    return capital(made_up(rng, 2)) if rng.random() < 0.25 else pick(rng, GIRLS + BOYS)


def one_hero(rng: Random, wanted: Wanted) -> str:
    """A hero alone, perhaps with a trait."""
    wanted.hero = hero(rng)
    chance = rng.random()
    if chance < 0.20:
        wanted.trait = pick(rng, TRAITS)
        return article(f"{wanted.trait} {wanted.hero}")
    if chance < 0.28:
        return one(rng, "the ", "my ", "") + wanted.hero
    if chance < 0.40:
        return plural(wanted.hero)
    return article(wanted.hero)


def named_hero(rng: Random, wanted: Wanted) -> str:
    """A hero with a name."""
    wanted.hero, wanted.name = hero(rng), name(rng)
    if rng.random() < 0.2:
        return f"my {wanted.hero} {wanted.name}"
    return f"{article(wanted.hero)} {one(rng, 'named', 'called')} {wanted.name}"


def two_heroes(rng: Random, wanted: Wanted) -> str:
    """A hero and the one who helps."""
    wanted.hero, wanted.helper = hero(rng), hero(rng)
    return f"{article(wanted.hero)} and {article(wanted.helper)}"


def only_name(rng: Random, wanted: Wanted) -> str:
    """A name alone, which is then a child's."""
    wanted.name = name(rng)
    wanted.hero = one(rng, "girl", "boy")
    if wanted.name in GIRLS or wanted.name in BOYS:
        wanted.hero = "girl" if wanted.name in GIRLS else "boy"
    return wanted.name


def placed_hero(rng: Random, wanted: Wanted) -> str:
    """A hero and a place."""
    wanted.hero, wanted.place = hero(rng), pick(rng, PLACES)
    return f"{article(wanted.hero)} {one(rng, 'who goes to', 'and')} {wanted.place}"


def busy_hero(rng: Random, wanted: Wanted) -> str:
    """A hero and what the hero wants or does, which is the plot."""
    wanted.hero = hero(rng)
    clause, wanted.plot, slot = pick(rng, CLAUSES)
    if slot:
        value = pick(rng, wanted.plot.slots[slot])
        wanted.slots[slot] = value
        clause = clause.replace("{v}", value)
    return f"{article(wanted.hero)} {clause.replace('{his}', one(rng, 'his', 'her', 'a'))}"


def theme(rng: Random, wanted: Wanted) -> str:
    """Something that cannot be a hero."""
    wanted.theme = pick(rng, THEMES) if rng.random() < 0.8 else made_up(rng)
    if wanted.theme in FITTING:
        wanted.plot = pick(rng, FITTING[wanted.theme])
    if wanted.theme == "a lost key":
        wanted.slots["treasure"] = "golden key"
    return wanted.theme


SUBJECTS = (one_hero, named_hero, two_heroes, only_name, placed_hero, busy_hero, theme)
WEIGHTS = (50, 12, 9, 6, 5, 8, 10)


def subject(rng: Random, wanted: Wanted) -> str:
    """What comes after "a story about"; `wanted` then says what that means."""
    return rng.choices(SUBJECTS, WEIGHTS)[0](rng, wanted)
