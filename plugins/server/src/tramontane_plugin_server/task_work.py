"""Work of a model's queue, from its worker's thread to the event loop."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from tramontane.errors import TramontaneError
from tramontane.tasks.queue import Ended, Work, WorkQueue
from tramontane.tasks.waiting import stream_async

from .http.errors import LOG, ApiError
from .metrics import Metrics

log = logging.getLogger(__name__)


class TaskWork:
    """A piece of work: what it yields while it is iterated over, then its result. Leaving the
    iteration, as when a client goes, cancels it.

    Raises EngineBusy where too much waits, and ApiError or TramontaneError for work that failed.
    """

    def __init__(
        self,
        queue: WorkQueue,
        work: Work,
        *,
        name: str,
        task: str,
        metrics: Metrics,
    ) -> None:
        self._queue, self._work = queue, work
        self._name, self._task, self._metrics = name, task, metrics
        self.result: Any = None

    async def finish(self, show: Callable[[Any], None] | None = None) -> Any:
        """The result. show: called with what the work yields."""
        async for event in self:
            if show is not None:
                show(event)
        return self.result

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._events()

    async def _events(self) -> AsyncIterator[Any]:
        started, outcome = time.perf_counter(), "cancelled"
        try:
            async with aclosing(stream_async(self._queue, self._work)) as events:  # type: ignore[type-var]
                async for event in events:
                    if not isinstance(event, Ended):
                        yield event
                        continue
                    outcome = "failed"
                    self.result = self._ended(event)
                    outcome = "done"
        except TramontaneError:
            outcome = "failed"
            raise
        finally:
            self._metrics.task(self._name, self._task, outcome, time.perf_counter() - started)

    def _ended(self, ended: Ended) -> Any:
        if ended.cancelled:
            raise ApiError(503, "the model was unloaded, or the server stopped, before the answer")
        if isinstance(ended.error, TramontaneError):
            raise ended.error
        if ended.error is not None:
            log.error("%s: a request failed", self._name, exc_info=ended.error)
            raise ApiError(500, f"the request failed; {LOG}", code="engine_error")
        return ended.result
