"""Conversations of several turns that wander from one kind to the next."""

from __future__ import annotations

from random import Random

from .commands import command
from .grammar import Wanted, tell
from .smalltalk import joke, line, smalltalk
from .story import about_story, after_story, told
from .turns import Dialogue, exchange, one, pick, untidy
from .unknown import unknown

GREET = ("hello", "hi", "hey", "hello!", "hi!", "hi there", "good evening", "hello there")
OFFER = (
    "Hello! I am Tramontane's embedded model. Shall I tell you a story?",
    "Hi there! Would you like to hear a story?",
)
YES = ("yes", "yes please", "sure", "of course", "yes!", "yeah", "ok", "please do", "go on",
"why not", "gladly",
       "yes, please", "go ahead", "I would love to", "tell me", "please")  # fmt: skip
REPEAT = ("what?", "can you repeat that?", "say that again", "again please",
"sorry, what was the command?",
          "what was the command again?", "could you repeat that?", "once more please")  # fmt: skip


def accepted(rng: Random) -> Dialogue:
    """A greeting, the offer of a story, and yes."""
    story = tell(rng, Wanted(length=one(rng, "normal", "normal", "short")))
    talk = exchange(untidy(rng, pick(rng, GREET)), pick(rng, OFFER))
    talk += exchange(untidy(rng, pick(rng, YES)), story.text)
    if rng.random() < 0.5:
        talk += after_story(rng, story)[0]
    return talk


def repeated(rng: Random) -> Dialogue:
    """An answer about a command, asked for twice."""
    talk = command(rng)
    return talk + exchange(untidy(rng, pick(rng, REPEAT)), talk[-1]["content"])


def wandering(rng: Random) -> Dialogue:
    """Two to four exchanges of different kinds, with at most one story."""
    talk: Dialogue = []
    storied = False
    for _ in range(one(rng, 2, 2, 3, 3, 4)):
        part = pick(rng, (line, line, command, command, unknown, joke, smalltalk, None))
        if part is not None:
            talk += part(rng)
        elif not storied:
            storied = True
            opening, last = told(rng)
            talk += opening
            if rng.random() < 0.5:
                talk += about_story(rng, last)
        else:
            talk += command(rng)
    return talk[:8]


def mixed(rng: Random) -> Dialogue:
    """One wandering conversation."""
    chance = rng.random()
    if chance < 0.25:
        return accepted(rng)
    if chance < 0.35:
        return repeated(rng)
    return wandering(rng)
