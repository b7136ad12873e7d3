"""How many replicas there should be, by how many requests are being answered."""

from __future__ import annotations

import math


class Scaling:
    """Between limits. More at once; fewer once fewer were enough for `patience` seconds."""

    def __init__(self, least: int, most: int, at: int, patience: float) -> None:
        self._least, self._most, self._at, self._patience = least, most, at, patience
        self.wanted = least
        self._enough_since: float | None = None
        self._enough = least

    def look(self, running: int, now: float) -> int:
        """The number from now on. running: requests at all replicas together. now: seconds."""
        needed = min(self._most, max(self._least, math.ceil(running / self._at)))
        if needed >= self.wanted:
            self.wanted, self._enough_since = needed, None
        elif self._enough_since is None:
            self._enough_since, self._enough = now, needed
        else:
            self._enough = max(self._enough, needed)
            if now - self._enough_since >= self._patience:
                self.wanted, self._enough_since = self._enough, None
        return self.wanted
