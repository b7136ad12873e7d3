"""Texts without a chat around them, for whoever asks the model to continue a text."""

from __future__ import annotations

from random import Random

from .grammar import tell
from .lines import CAN, WHO
from .turns import pick

HELLO = (
    "Hello! " + WHO[0], "Hello! " + CAN[0], "Hello, my name is Tramontane. " + WHO[1],
    "Hi! " + WHO[1] + " " + CAN[0],
    "The tramontane is a cold, clear wind from the north. " + WHO[0],
)  # fmt: skip


def plain(rng: Random) -> str:
    """A story, or a few sentences about the model."""
    if rng.random() < 0.2:
        return pick(rng, HELLO)
    return tell(rng).text
