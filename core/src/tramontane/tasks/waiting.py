"""Waiting for a queue's work, in a thread or in asyncio's loop."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

from tramontane.errors import RequestError

from .queue import Ended, Progress, Work, WorkQueue

Show = Callable[[Progress], None]


def stream(work_queue: WorkQueue, work: Work) -> Iterator[Any]:
    """Everything that a piece of work yields, and last its `Ended`. It is in the queue before the
    first is asked for; closing the iterator cancels it. Raises as `WorkQueue.submit`."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    return _events(events, work_queue.submit(work, events.put))


def _events(events: queue.SimpleQueue[Any], cancel: Callable[[], None]) -> Iterator[Any]:
    try:
        while True:
            event = events.get()
            yield event
            if isinstance(event, Ended):
                return
    finally:
        cancel()


def result(ended: Ended) -> Any:
    """What the work returned. Raises what it raised, RequestError where it was cancelled."""
    if ended.error is not None:
        raise ended.error
    if ended.cancelled:
        raise RequestError("the request was cancelled")
    return ended.result


def run(work_queue: WorkQueue, work: Work, progress: Show | None = None) -> Any:
    """The result of a piece of work. progress: called with each `Progress`."""
    with closing(stream(work_queue, work)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Ended):
                return result(event)
            if progress is not None and isinstance(event, Progress):
                progress(event)
    raise AssertionError


async def stream_async(work_queue: WorkQueue, work: Work) -> AsyncIterator[Any]:
    """As `stream`, in asyncio's loop; it is in the queue once the first is asked for."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Any] = asyncio.Queue()

    def sink(event: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(events.put_nowait, event)

    cancel = work_queue.submit(work, sink)
    try:
        while True:
            event = await events.get()
            yield event
            if isinstance(event, Ended):
                return
    finally:
        cancel()


async def run_async(work_queue: WorkQueue, work: Work, progress: Show | None = None) -> Any:
    """As `run`, in asyncio's loop."""
    async with aclosing(stream_async(work_queue, work)) as events:  # type: ignore[type-var]
        async for event in events:
            if isinstance(event, Ended):
                return result(event)
            if progress is not None and isinstance(event, Progress):
                progress(event)
    raise AssertionError
