"""What needs no logits is done while the model computes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

log = logging.getLogger(__name__)


class Ahead:
    """One thread beside the engine's, started when there is first something for it to do."""

    def __init__(self) -> None:
        self._given: SimpleQueue[Sequence[Callable[[], None]] | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy = False

    def start(self, calls: Sequence[Callable[[], None]]) -> None:
        """Begin with some calls; `wait` comes before the next ones."""
        if not calls:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="tramontane-ahead", daemon=True)
            self._thread.start()
        self._busy = True
        self._given.put(calls)

    def wait(self) -> None:
        """Until they are over."""
        if self._busy:
            self._done.get()
            self._busy = False

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._given.put(None)
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while (calls := self._given.get()) is not None:
            for call in calls:
                try:
                    call()
                except Exception:  # whoever needed it meets the same, where somebody is told
                    log.debug("what was done ahead failed", exc_info=True)
            self._done.put(None)
