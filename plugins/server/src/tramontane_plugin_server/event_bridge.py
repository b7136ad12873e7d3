"""Events from the engine's thread to the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Self

from tramontane.engine.request import Event, Finished, Request, RequestResult

from .http.access import spent
from .http.errors import LOG, ApiError
from .http.tracing import GenerationSpan
from .metrics import Metrics

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

log = logging.getLogger(__name__)


class Mailbox:
    """Events for the loop. All that a step of the engine brings cost one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[tuple[Generation, Event, float]] = deque()
        self._woken = False

    def put(self, generation: Generation, event: Event) -> None:
        """From the engine's thread."""
        self._events.append((generation, event, time.perf_counter()))
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop is closed: nobody listens any longer
                self._events.clear()

    def _deliver(self) -> None:
        self._woken = False  # before the queue is empty: an event put now wakes us again
        while self._events:
            generation, event, when = self._events.popleft()
            generation.take(event, when)


class Generation:
    """The answers to prompts: enter to submit, iterate over batches of events, leave to cancel.

    Raises what `Engine.submit` does when entered, and ApiError or EngineBusy for an answer that
    failed.
    """

    def __init__(
        self,
        model: LoadedModel,
        name: str,
        requests: Sequence[Request],
        mailbox: Mailbox,
        metrics: Metrics,
    ) -> None:
        self.requests = requests
        self.index = {request.id: i for i, request in enumerate(requests)}
        self._first = {request.id: request.fork_of is None for request in requests}
        self._model, self._mailbox = model, mailbox
        self._open = len(requests)
        self._cancels: list[Callable[[], None]] = []
        self._events: list[Event] = []
        self._results: dict[str, RequestResult] = {}
        self._awake = asyncio.Event()
        self._started = time.perf_counter()
        self._last: dict[str, float] = {}
        self._metrics, self._name = metrics, name
        self._spent = spent(name)
        self._prompt_tokens = self._answer_tokens = 0
        self._between = metrics.between_tokens.labels(name)

    def __enter__(self) -> Self:
        self._span = GenerationSpan(self._name, len(self.requests))
        try:
            for request in self.requests:
                self._cancels.append(self._model.engine.submit(request, self._sink))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for cancel in self._cancels:
            cancel()
        self._span.end(self._prompt_tokens, self._answer_tokens)

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        return self._batches()

    async def finish(self) -> list[RequestResult]:
        """Wait for the end of all answers; returns the results."""
        async for _ in self:
            pass
        return self.results()

    def results(self) -> list[RequestResult]:
        """The results in the order of the requests, after the last event."""
        return [self._results[request.id] for request in self.requests]

    def take(self, event: Event, when: float) -> None:
        """From the mailbox, in the loop."""
        self._observe(event, when)
        self._events.append(event)
        self._awake.set()

    def _sink(self, event: Event) -> None:
        self._mailbox.put(self, event)

    async def _batches(self) -> AsyncIterator[list[Event]]:
        while self._open:
            await self._awake.wait()
            self._awake.clear()
            events, self._events = self._events, []
            for event in events:
                if isinstance(event, Finished):
                    self._open -= 1
                    _check(event.result)
                    self._results[event.id] = event.result
            yield events

    def _observe(self, event: Event, when: float) -> None:
        metrics, name = self._metrics, self._name
        if not isinstance(event, Finished):
            before = self._last.get(event.id)
            if before is None:
                metrics.first_token.labels(name).observe(when - self._started)
            else:
                self._between.observe(when - before)
            self._last[event.id] = when
            return
        usage = event.result.usage
        metrics.whole.labels(name).observe(when - self._started)
        metrics.queued.labels(name).observe(event.result.timings.queued)
        metrics.ended.labels(name, event.result.finish_reason).inc()
        self._answer_tokens += usage.completion_tokens
        self._spent.add(answer=usage.completion_tokens)
        metrics.answer_tokens.labels(name).inc(usage.completion_tokens)
        metrics.answer_size.labels(name).observe(usage.completion_tokens)
        if self._first[event.id]:
            self._prompt_tokens += usage.prompt_tokens
            self._spent.add(prompt=usage.prompt_tokens, cached=usage.cached_tokens)
            metrics.prompt_tokens.labels(name).inc(usage.prompt_tokens)
            metrics.prompt_size.labels(name).observe(usage.prompt_tokens)


def _check(result: RequestResult) -> None:
    result.check_room()
    if result.error is not None and result.refused:
        raise ApiError(400, result.error)
    if result.error is not None:
        log.error("%s: the request failed: %s", result.id, result.error)
        raise ApiError(500, f"the request failed; {LOG}", code="engine_error")
    if result.finish_reason == "cancelled":
        raise ApiError(503, "the model was unloaded, or the server stopped, before the answer")
