"""The kinds of dialogue and how often each is met; a new kind is one file and one row here."""

from __future__ import annotations

from itertools import accumulate
from random import Random

from .calls import (
    asked_back,
    called,
    called_twice,
    missing,
    not_called,
    out_of_reach,
    simply_called,
    which_tools,
)
from .commands import command
from .copying import copying, looked_up, repeated
from .json_asked import json_asked
from .mixed import mixed
from .remarks import remark
from .smalltalk import smalltalk
from .story import story, story_talk
from .systems import with_system
from .turns import Dialogue, Kind, pick
from .unknown import unknown

KINDS: dict[str, tuple[Kind, float]] = {
    "story": (story, 0.09),
    "story_talk": (story_talk, 0.04),
    "smalltalk": (smalltalk, 0.09),
    "remark": (remark, 0.04),
    "command": (command, 0.13),
    "unknown": (unknown, 0.05),
    "mixed": (mixed, 0.04),
    "copying": (copying, 0.05),
    "json_asked": (json_asked, 0.10),
}


def idle(rng: Random) -> Dialogue:
    """A dialogue that no tool helps with, though some are offered."""
    kinds = (smalltalk, smalltalk, remark, command, command, copying, json_asked, story)
    return not_called(rng, pick(rng, kinds)(rng))


WITH_TOOLS: dict[str, tuple[Kind, float]] = {
    "called": (called, 0.25),
    "called_twice": (called_twice, 0.18),
    "idle": (idle, 0.05),
    "out_of_reach": (out_of_reach, 0.08),
    "asked_back": (asked_back, 0.01),
    "which_tools": (which_tools, 0.01),
}
"""Those that begin with a system message of their own, which shows tools."""
DRILLS: dict[str, tuple[Kind, float]] = {
    "repeated": (repeated, 0.45),
    "looked_up": (looked_up, 0.15),
    "json_asked": (json_asked, 0.15),
    "simply_called": (simply_called, 0.25),
}
"""What comes first: short dialogues that only copying can answer.

A small model that begins with stories learns those, and to copy very late or never.
"""
PLAIN_SHARE = 0.02
SYSTEM_SHARE = 0.15

_ALL = {**KINDS, **WITH_TOOLS}
_SETTLING = {
    **_ALL,
    "called": (called, 0.25),
    "simply_called": (simply_called, 0.08),
    "out_of_reach": (missing, 0.06),
}
"""What comes last. Before, many wishes are out of reach, and most of those where one tool is
offered, so that tools are told apart; now calls and refusals come as often as they should."""


def one_of(rng: Random, kinds: dict[str, tuple[Kind, float]]) -> str:
    """A kind's name, by weight."""
    weights = accumulate(weight for _, weight in kinds.values())
    return rng.choices(list(kinds), cum_weights=list(weights))[0]


def drill(rng: Random) -> Dialogue:
    """One dialogue of those that come first."""
    return DRILLS[one_of(rng, DRILLS)][0](rng)


def dialogue(rng: Random, settling: bool = False) -> Dialogue:
    """One dialogue of a kind chosen by weight, now and then behind a system message."""
    kinds = _SETTLING if settling else _ALL
    name = one_of(rng, kinds)
    talk = kinds[name][0](rng)
    if name in KINDS and rng.random() < SYSTEM_SHARE:
        return with_system(rng, talk)
    return talk
