"""Work that is not token steps: a queue with a worker thread for each model.

A piece of work is a generator: it yields wherever it may be interrupted, None or something to show
(`Progress`, a part of the result), and returns the result. Running work takes turns, from one yield
to the next; the rest waits in the order in which it came.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tramontane.engine.request import RETRY_AFTER
from tramontane.errors import EngineBusy, RequestError
from tramontane.option_checks import check_options, seconds, whole

log = logging.getLogger(__name__)
Work: TypeAlias = Generator[Any, None, Any]
Sink: TypeAlias = Callable[[Any], None]
CHECKS = {
    "running": whole(none=True), "workers": whole(1, 256, none=True),
    "max_waiting": whole(0, none=True), "queue_timeout": seconds(none=True),
}  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is. what: what is counted, in the plural ("steps"). shown: something
    to look at meanwhile, such as a preview (height, width, 3) of bytes."""

    done: int
    total: int
    what: str = ""
    shown: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Ended:
    """The last event of a piece of work: its result, or why there is none. seconds: it took so
    long; waited: in the queue before."""

    result: Any = None
    error: Exception | None = None
    cancelled: bool = False
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """The limits of a queue. Raises RequestError for values that cannot be."""

    running: int | None = None
    """Pieces of work that take turns; more wait. None: as many as suit the model."""
    workers: int | None = None
    """Worker threads: more than one is for work that waits for something else, as for an engine."""
    max_waiting: int | None = None
    """Size of the queue; further work is rejected at once. None: unlimited."""
    queue_timeout: float | None = None
    """Seconds that a piece of work may wait for its beginning. None: no limit."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)


@dataclass(frozen=True)
class QueueStats:
    """What a queue has done and has to do, in pieces of work."""

    running: int = 0
    waiting: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0


class _Job:
    def __init__(self, work: Work, sink: Sink) -> None:
        self.work, self.sink = work, sink
        self.came = time.perf_counter()
        self.began: float | None = None
        self.cancelled = False


class WorkQueue:
    """The work of one model. Thread-safe; threads start with the first piece of work."""

    def __init__(
        self,
        name: str = "model",
        options: QueueOptions | None = None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """around: entered for each turn, in the worker's thread."""
        self._name, self._options, self._around = name, options or QueueOptions(), around
        self._running, self._workers = self._options.running or 1, self._options.workers or 1
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._ready: deque[_Job] = deque()
        self._active = 0
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._counts = {"done": 0, "failed": 0, "cancelled": 0}

    def submit(self, work: Work, sink: Sink) -> Callable[[], None]:
        """Put a piece of work into the queue. sink: called in the worker's thread with everything
        but None that it yields, and last with `Ended`. Returns what cancels it.

        Raises EngineBusy where too much waits, RequestError once the queue is closed.
        """
        job = _Job(work, sink)
        most = self._options.max_waiting
        with self._changed:
            if self._closed:
                raise RequestError(f"{self._name} is closed")
            # those that the thread has not come to yet do not wait for anything else
            if most is not None and self._active + len(self._waiting) >= self._running + most:
                raise EngineBusy(
                    f"{len(self._waiting)} requests wait already, which is the most", RETRY_AFTER
                )
            self._waiting.append(job)
            if len(self._threads) < self._workers:
                thread = threading.Thread(target=self._serve, name="tramontane-tasks", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

        def cancel() -> None:
            with self._changed:
                job.cancelled = True
                self._changed.notify_all()

        return cancel

    def stats(self) -> QueueStats:
        with self._changed:
            return QueueStats(self._active, len(self._waiting), **self._counts)

    def drain(self, timeout: float) -> bool:
        """Wait until nothing runs or waits; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._active or self._waiting), timeout)

    def close(self) -> None:
        """Cancel everything, and end the threads after what they are at."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *self._ready):
                job.cancelled = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=60)

    def _serve(self) -> None:
        import torch

        while (job := self._next()) is not None:
            try:
                with torch.inference_mode(), self._around():
                    ended = self._turn(job)
            except Exception as error:  # noqa: BLE001 - the thread is for the others' work too
                ended = Ended(error=error)
            with self._changed:
                if ended is None:
                    job.cancelled = job.cancelled or self._closed
                    self._ready.append(job)
                else:
                    self._active -= 1
                    kind = "failed" if ended.error else "cancelled" if ended.cancelled else "done"
                    self._counts[kind] += 1
                self._changed.notify_all()
            if ended is not None:
                try:
                    job.sink(ended)
                except Exception:  # whoever asked is gone, such as a loop that was closed
                    log.exception("%s: nobody takes what a request ended with", self._name)

    def _next(self) -> _Job | None:
        """The next that has a turn; None: the queue is closed and empty."""
        with self._changed:
            while True:
                dropped = next((job for job in self._waiting if self._too_late(job)), None)
                if dropped is not None:
                    self._waiting.remove(dropped)
                    self._active += 1
                    return dropped
                if self._waiting and self._active < self._running:
                    self._active += 1
                    return self._waiting.popleft()
                if self._ready:
                    return self._ready.popleft()
                if self._closed and not self._waiting:
                    return None
                self._changed.wait(self._patience())

    def _too_late(self, job: _Job) -> bool:
        limit = self._options.queue_timeout
        return job.cancelled or (limit is not None and time.perf_counter() - job.came > limit)

    def _patience(self) -> float | None:
        """Seconds until what waits has waited too long."""
        limit = self._options.queue_timeout
        if limit is None or not self._waiting:
            return None
        return max(0.01, self._waiting[0].came + limit - time.perf_counter())

    def _turn(self, job: _Job) -> Ended | None:
        """One turn of a job; what it ended with, if it did."""
        now = time.perf_counter()
        if job.began is None:
            if self._too_late(job) and not job.cancelled:
                job.work.close()
                limit = self._options.queue_timeout
                return Ended(
                    error=EngineBusy(f"the request waited for more than {limit} s", RETRY_AFTER),
                    waited=now - job.came,
                )
            job.began = now
        waited = job.began - job.came
        try:
            if job.cancelled:
                job.work.close()
                return Ended(cancelled=True, seconds=now - job.began, waited=waited)
            shown = next(job.work)
        except StopIteration as end:
            return Ended(end.value, seconds=time.perf_counter() - job.began, waited=waited)
        except Exception as error:  # noqa: BLE001 - who asked is shown it
            return Ended(error=error, seconds=time.perf_counter() - job.began, waited=waited)
        if shown is not None:
            job.sink(shown)
        return None
