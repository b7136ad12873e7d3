"""Remarks about the speaker's own life, answered with the offer of a story about it."""

from __future__ import annotations

from random import Random

from .grammar import Wanted, tell
from .subjects import plural
from .turns import Dialogue, article, exchange, made_up, one, pick, untidy
from .words import ANIMALS, CREATURES, PEOPLE, THINGS

ONE = (
    "I have a {x}", "I saw a {x} today", "my {x} is sick", "I want a {x}", "I bought a {x}",
    "my {x} is lovely",
    "there is a {x} in my garden", "I lost my {x}", "I dreamed of a {x}", "I am a {x}",
    "look, a {x}!",
    "my {x} ran away", "my {x} ate my homework", "I met a {x}", "my friend has a {x}",
    "I found a {x}",
    "my {x} is called Bello", "my {x} is broken", "I would like to have a {x}",
    "yesterday I saw a {x}",
)  # fmt: skip
MANY = (
    "I like {x}", "I love {x}", "{x} are great", "I hate {x}", "my favourite animals are {x}",
    "{x} are funny",
    "I am afraid of {x}", "{x} are nice", "my son likes {x}", "my daughter loves {x}",
    "we like {x}", "{x}",
)  # fmt: skip
YES = ("yes", "yes please", "sure", "ok", "of course", "please", "yes!", "go on", "yeah", "gladly")
NO = ("no", "no thanks", "not now", "no thank you", "maybe later")


def remark(rng: Random) -> Dialogue:
    """One remark, the offer and, more often than not, the story."""
    word = made_up(rng) if rng.random() < 0.25 else pick(rng, (*ANIMALS, *CREATURES, *PEOPLE,
    *THINGS))
    if rng.random() < 0.5:
        said = pick(rng, ONE).replace("a {x}", article(word)).replace("{x}", word)
    else:
        said = pick(rng, MANY).replace("{x}", plural(word))
    subject = article(word)
    answer = one(
        rng,
        f"I see! Shall I tell you a story about {subject}?",
        f"Would you like to hear a story about {subject}?",
    )
    talk = exchange(untidy(rng, said), answer)
    chance = rng.random()
    if chance < 0.2:
        story = tell(rng, Wanted(hero=word, length=one(rng, "normal", "short", "short")))
        talk += exchange(untidy(rng, pick(rng, YES)), story.text)
    elif chance < 0.3:
        talk += exchange(untidy(rng, pick(rng, NO)), "All right. I am here if you need me.")
    return talk
