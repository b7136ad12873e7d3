"""Work that needs no logits runs in a thread while the model computes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

log = logging.getLogger(__name__)


class OverlapWorker:
    """One background thread, started when `start` is first called with work."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Sequence[Callable[[], None]] | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy = False

    def start(self, calls: Sequence[Callable[[], None]]) -> None:
        """Run these calls in the background; call `wait` before the next `start`."""
        if not calls:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="tramontane-ahead", daemon=True)
            self._thread.start()
        self._busy = True
        self._calls.put(calls)

    def wait(self) -> None:
        """Block until the calls passed to `start` have returned."""
        if self._busy:
            self._done.get()
            self._busy = False

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while (calls := self._calls.get()) is not None:
            for call in calls:
                try:
                    call()
                except Exception:  # fails again in the foreground, where the caller gets the error
                    log.debug("background work failed", exc_info=True)
            self._done.put(None)
