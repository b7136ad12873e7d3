"""The kinds of dialogue and how often each is met; a new kind is one file and one row here."""

from __future__ import annotations

from itertools import accumulate
from random import Random

from .commands import command
from .mixed import mixed
from .remarks import remark
from .smalltalk import smalltalk
from .story import story, story_talk
from .systems import with_system
from .turns import Dialogue, Kind
from .unknown import unknown

KINDS: dict[str, tuple[Kind, float]] = {
    "story": (story, 0.16),
    "story_talk": (story_talk, 0.08),
    "smalltalk": (smalltalk, 0.24),
    "remark": (remark, 0.10),
    "command": (command, 0.26),
    "unknown": (unknown, 0.10),
    "mixed": (mixed, 0.06),
}
PLAIN_SHARE = 0.02
SYSTEM_SHARE = 0.15

_FUNCTIONS = [kind for kind, _ in KINDS.values()]
_WEIGHTS = list(accumulate(weight for _, weight in KINDS.values()))


def dialogue(rng: Random) -> Dialogue:
    """One dialogue of a kind chosen by weight, now and then behind a system message."""
    talk = rng.choices(_FUNCTIONS, cum_weights=_WEIGHTS)[0](rng)
    return with_system(rng, talk) if rng.random() < SYSTEM_SHARE else talk
