"""Values that questions name and calls repeat, most of them from no list, so that copying is learnt."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .turns import capital, made_up, one, pick
from .words import ANIMALS, BOYS, GIRLS, PEOPLE, PLACES, THINGS, TREASURES

HELD_OUT = (
    "Lisbon", "Bergen", "Nairobi", "Quito", "Zagreb", "Hobart", "Winnipeg", "Leipzig", "Osaka",
    "Tallinn",
)  # fmt: skip
"""Cities that no training document names, for those who test the model."""
CITIES = (
    "Paris", "London", "Berlin", "Rome", "Madrid", "Tokyo", "Oslo", "Vienna", "Cairo", "Lima",
    "Boston", "Chicago", "Seattle", "Dublin", "Athens", "Prague", "Warsaw", "Moscow", "Delhi",
    "Mumbai", "Sydney", "Toronto", "Geneva", "Zurich", "Munich", "Hamburg", "Lyon", "Porto",
    "Seville", "Naples", "Milan", "Turin", "Bern", "Basel", "Graz", "Ghent", "Malmo", "Tunis",
    "Dakar", "Accra", "Lagos", "Bogota", "Havana", "Kyoto", "Seoul", "Hanoi", "Manila", "Perth",
    "Dallas", "Denver", "Austin", "Miami", "Detroit", "Amsterdam", "Brussels", "Stockholm",
    "Copenhagen", "Helsinki", "Barcelona", "Istanbul", "Jakarta", "Bangkok", "Singapore",
)  # fmt: skip
FRONT = ("New", "San", "Santa", "Port", "Los", "Saint", "North", "East", "Fort", "Cape")
LANGUAGES = (
    "French", "German", "Spanish", "Italian", "Dutch", "Polish", "Latin", "Greek", "Swedish",
    "Czech", "Danish", "Welsh", "Turkish", "Japanese",
)  # fmt: skip
ENDINGS = ("txt", "md", "csv", "json", "py", "log", "html", "pdf", "png", "yaml")
FOLDERS = ("docs", "src", "notes", "data", "tmp", "home", "photos", "work", "music", "reports")
ROOMS = (
    "kitchen", "bedroom", "bathroom", "hall", "cellar", "attic", "garage", "office", "garden",
    "living room", "library", "nursery",
)  # fmt: skip
COLOURS = ("red", "green", "blue", "yellow", "white", "purple", "orange", "pink", "black", "grey")
COMMON = (
    "hello", "world", "the", "north", "wind", "is", "cold", "my", "friend", "we", "meet", "at",
    "noon", "buy", "milk", "and", "bread", "call", "me", "back", "good", "morning", "see", "you",
    "tomorrow", "this", "a", "test", "all", "is", "well", "never", "give", "up", "water", "plants",
    "big", "small", "happy", "birthday", "to", "dinner", "ready", "come", "home", "soon", "thank",
    "for", "help", "train", "late", "new", "old", "history", "of", "tea", "best", "way", "bake",
)  # fmt: skip
CODES = ("EUR", "USD", "GBP", "JPY", "CHF", "SEK", "NOK", "CAD", "AUD", "PLN", "CZK", "INR")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NOUNS = (*ANIMALS, *THINGS, *PEOPLE)

Make = Callable[[Random], str]


def name_like(rng: Random) -> str:
    """A made-up word with a capital."""
    return capital(made_up(rng, 3))


def city(rng: Random) -> str:
    """A city, more often invented than not."""
    chance = rng.random()
    if chance < 0.35:
        return pick(rng, CITIES)
    if chance < 0.5:
        return f"{pick(rng, FRONT)} {name_like(rng)}"
    found = name_like(rng)
    return found.lower() if rng.random() < 0.1 else found


def person(rng: Random) -> str:
    """A first name, sometimes with a second one."""
    first = name_like(rng) if rng.random() < 0.6 else pick(rng, GIRLS + BOYS)
    return f"{first} {name_like(rng)}" if rng.random() < 0.15 else first


def thing(rng: Random) -> str:
    """Something in one or two words."""
    chance = rng.random()
    if chance < 0.4:
        return made_up(rng, 3)
    return pick(rng, NOUNS) if chance < 0.8 else pick(rng, TREASURES)


def words(rng: Random, longest: int = 5) -> str:
    """A few words in no order that could be known before."""
    count = 1 + int(rng.random() * longest)
    return " ".join(
        made_up(rng, 2) if rng.random() < 0.3 else pick(rng, one(rng, COMMON, COMMON, NOUNS))
        for _ in range(count)
    )


def integer(rng: Random) -> str:
    """A whole number, small ones more often."""
    top = one(rng, 10, 10, 100, 100, 1000, 10000, 100000)
    return ("-" if rng.random() < 0.04 else "") + str(rng.randrange(top))


def number(rng: Random) -> str:
    """A number that may have a fraction."""
    if rng.random() < 0.5:
        return integer(rng)
    return str(float(f"{rng.randrange(200)}.{rng.randrange(1, 100)}"))


def file(rng: Random) -> str:
    """A path."""
    stem = made_up(rng, 2) if rng.random() < 0.6 else pick(rng, NOUNS).replace(" ", "_")
    found = f"{stem}.{pick(rng, ENDINGS)}"
    chance = rng.random()
    if chance < 0.35:
        return f"{folder(rng)}/{found}"
    return f"/{folder(rng)}/{found}" if chance < 0.5 else found


def folder(rng: Random) -> str:
    """A folder's name."""
    return made_up(rng, 2) if rng.random() < 0.5 else pick(rng, FOLDERS)


def address(rng: Random) -> str:
    """A mail address."""
    return f"{made_up(rng, 2)}@{made_up(rng, 2)}.{one(rng, 'com', 'org', 'net', 'de', 'fr')}"


def code(rng: Random) -> str:
    """An identifier of letters and digits."""
    letters = "".join(pick(rng, "ABCDEFGHKLMNPRSTXZ") for _ in range(one(rng, 1, 2, 3)))
    return f"{letters}{one(rng, '', '-')}{rng.randrange(10000)}"


def clock(rng: Random) -> str:
    """A time of day."""
    return f"{rng.randrange(24)}:{rng.randrange(60):02}"


def date(rng: Random) -> str:
    """A day."""
    if rng.random() < 0.4:
        return pick(rng, DAYS)
    return f"20{rng.randrange(10, 40)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def place(rng: Random) -> str:
    """A room or a place."""
    return made_up(rng, 2) if rng.random() < 0.3 else pick(rng, one(rng, ROOMS, ROOMS, PLACES)).removeprefix("the ")


def sum_text(rng: Random) -> str:
    """Something to calculate."""
    found = str(rng.randrange(1000))
    for _ in range(one(rng, 1, 1, 2)):
        found += f" {one(rng, '+', '-', '*', '/')} {rng.randrange(one(rng, 10, 100, 1000))}"
    return found


def language(rng: Random) -> str:
    return pick(rng, LANGUAGES) if rng.random() < 0.6 else name_like(rng)


def colour(rng: Random) -> str:
    return pick(rng, COLOURS)


def currency(rng: Random) -> str:
    return pick(rng, CODES)


MAKERS: dict[str, Make] = {
    "city": city, "person": person, "thing": thing, "words": words, "file": file, "folder": folder,
    "address": address, "code": code, "clock": clock, "date": date, "place": place,
    "sum": sum_text, "language": language, "colour": colour, "currency": currency,
    "integer": integer, "number": number,
}  # fmt: skip
