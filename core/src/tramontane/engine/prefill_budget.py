"""The prefill budget: how many prompt tokens a step may compute together with decoding sequences.

The clients of running answers wait for the entire step. A step with a chunk of a long prompt may
therefore take at most LONGEST times as long as one without; the number of tokens is derived from
measured step times. Short prompts are computed at once: that takes little time, and decoding more
sequences together costs less for each.

Results do not depend on how prompts are split into chunks, so timing affects nothing but speed.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 2.0
"""Maximum step time, relative to a step without prompts."""
FEWEST = 4
"""Minimum of prompt tokens per step, so that long prompts always make progress."""
SHORT = 256
"""A prompt with at most this many remaining tokens is computed in one step."""
FIRST = 64
"""Prompt tokens per step together with decoding sequences, before the first measurement."""
RECENT = 0.2
"""Weight of the last measurement."""


class Pace:
    """Moving averages of step times, in seconds."""

    def __init__(self) -> None:
        self._decoding: float | None = None
        self._per_token: float | None = None

    def room(self, decoding: int, prompts: Sequence[int]) -> int | None:
        """Budget of prompt tokens in a step with `decoding` sequences; None: unlimited.

        prompts: remaining tokens of each waiting prompt."""
        if not decoding:
            return None
        short = sum(size for size in prompts if size <= SHORT)
        if self._decoding is None or self._per_token is None:
            return max(short, FIRST)
        spare = (LONGEST - 1) * self._decoding / max(self._per_token, 1e-9)
        return max(short, FEWEST, int(spare))

    def measured(self, decoding: int, prompt: int, seconds: float) -> None:
        """Record the time of a step with so many decoding sequences and prompt tokens."""
        if not prompt:
            self._decoding = _moved(self._decoding, seconds)
        elif not decoding:
            self._per_token = _moved(self._per_token, seconds / prompt)
        elif self._decoding is not None:
            self._per_token = _moved(self._per_token, max(0.0, seconds - self._decoding) / prompt)


def _moved(before: float | None, now: float) -> float:
    return now if before is None else before + RECENT * (now - before)
