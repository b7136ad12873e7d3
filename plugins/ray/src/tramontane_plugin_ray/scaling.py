"""How many replicas there should be, by how many requests are being answered."""

from __future__ import annotations

import math

AT_LEAST = 3.0
"""Seconds that more must be needed: a replica takes longer to start than a burst lasts."""


class Scaling:
    """Between limits, `at` requests for each. patience: seconds that fewer must be enough before
    one is stopped."""

    def __init__(self, least: int, most: int, at: int, patience: float) -> None:
        self._least, self._most, self._at, self._patience = least, most, at, patience
        self.wanted = least
        self._seen: list[tuple[float, int]] = []

    def look(self, running: int, now: float) -> int:
        """The number from now on. running: requests at all replicas together. now: seconds."""
        needed = min(self._most, max(self._least, math.ceil(running / self._at)))
        self._seen.append((now, needed))
        for seconds in (AT_LEAST, self._patience):
            before = [one for one in self._seen if one[0] <= now - seconds]
            if not before:
                continue  # it is not known for so long
            lately = [number for at, number in self._seen if at >= before[-1][0]]
            if seconds == AT_LEAST and min(lately) > self.wanted:
                self.wanted = min(lately)
            elif seconds == self._patience and max(lately) < self.wanted:
                self.wanted = max(lately)
        oldest = now - max(AT_LEAST, self._patience)
        while len(self._seen) > 1 and self._seen[1][0] <= oldest:
            self._seen.pop(0)
        return self.wanted
