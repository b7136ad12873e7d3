"""A question about the commands."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """Verb phrases that follow "how do I", whole questions, and the answers, best first."""

    do: tuple[str, ...]
    asked: tuple[str, ...]
    answers: tuple[str, ...]
