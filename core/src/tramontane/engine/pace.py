"""How many prompt tokens a step may take beside sequences that decode.

Whoever reads a running answer waits for the whole step. A step with part of a long prompt may
therefore take LONGEST times what one without would; how many tokens that is, is measured as steps
go by. Short prompts go in at once: that is soon over, and more sequences that decode together cost
less each.

What a step computes does not depend on how prompts are cut, so timing decides nothing but speed.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 2.0
"""Times a step without prompts."""
FEWEST = 4
"""Prompt tokens that go into any step: long prompts advance, whatever else runs."""
SHORT = 256
"""Tokens of a prompt, or what is left of one, that goes in at once."""
FIRST = 64
"""Prompt tokens beside decoding ones before anything was measured."""
RECENT = 0.2
"""Weight of the last measurement."""


class Pace:
    """Moving averages of what steps cost, in seconds."""

    def __init__(self) -> None:
        self._decoding: float | None = None
        self._each: float | None = None

    def room(self, decoding: int, prompts: Sequence[int]) -> int | None:
        """How many tokens of prompts of these sizes beside `decoding` sequences; None: all."""
        if not decoding:
            return None
        short = sum(size for size in prompts if size <= SHORT)
        if self._decoding is None or self._each is None:
            return max(short, FIRST)
        spare = (LONGEST - 1) * self._decoding / max(self._each, 1e-9)
        return max(short, FEWEST, int(spare))

    def measured(self, decoding: int, prompt: int, seconds: float) -> None:
        """A step with so many decoding sequences and prompt tokens took so long."""
        if not prompt:
            self._decoding = _moved(self._decoding, seconds)
        elif not decoding:
            self._each = _moved(self._each, seconds / prompt)
        elif self._decoding is not None:
            self._each = _moved(self._each, max(0.0, seconds - self._decoding) / prompt)


def _moved(before: float | None, now: float) -> float:
    return now if before is None else before + RECENT * (now - before)
