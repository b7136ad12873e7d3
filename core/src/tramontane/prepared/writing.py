"""Keep a prepared model for the next start, in the background once a first answer is there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tramontane.engine.shutdown import close_at_exit
from tramontane.engine.stats import EngineStats

from .find import Unsaved

log = logging.getLogger(__name__)
LOOK = 0.1
"""Seconds between looks at whether something was answered, or is being."""
REST = 3.0
"""While answers are computed, time that is not spent writing, relative to that spent."""
LEAST, SLOWEST, AT_THE_END = 3.0, 200e6, 15.0
"""How long closing a model may take for what is then not written yet: seconds, and bytes per
second beyond those; seconds at most."""


class Writing:
    """Writes a prepared model in a thread. stats: of the engine that runs the model."""

    def __init__(self, unsaved: Unsaved, stats: Callable[[], EngineStats]) -> None:
        self._unsaved, self._stats = unsaved, stats
        self._closing = threading.Event()
        self._until = float("inf")
        self._thread = threading.Thread(target=self._run, name="tramontane-keep", daemon=True)
        self._thread.start()
        close_at_exit(self)

    @property
    def nbytes(self) -> int:
        """Of what is written."""
        return self._unsaved.nbytes

    def finish(self) -> bool:
        """Write all of it now, however long it takes; whether the model is kept."""
        self._closing.set()
        self._thread.join()
        return self._unsaved.place.path.exists()

    def close(self, timeout: float | None = None) -> None:
        """Go on for a few seconds, if something was answered; what is not complete then is
        removed."""
        patience = min(AT_THE_END, LEAST + self.nbytes / SLOWEST)
        if timeout is not None:
            patience = min(timeout, patience)
        self._until = time.monotonic() + (patience if self._stats().steps > 0 else 0)
        self._closing.set()
        self._thread.join()

    def _answered(self) -> bool:
        stats = self._stats()
        return stats.steps > 0 and not stats.running

    def _run(self) -> None:
        while not self._closing.is_set() and not self._answered():
            self._closing.wait(LOOK)
        self._begun = time.monotonic()
        if time.monotonic() < self._until:
            self._unsaved.save(self._between)

    def _between(self, written: int) -> bool:
        """After a piece: rest while answers are computed; whether to go on."""
        now = time.monotonic()
        if now > self._until:
            return False
        if not self._closing.is_set() and self._stats().running:
            self._closing.wait(REST * (now - self._begun))
        self._begun = time.monotonic()
        return True
