"""The queue of work that is not token steps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from typing import Any

import pytest
from tramontane.errors import EngineBusy, RequestError
from tramontane.tasks.queue import Ended, Progress, QueueOptions, WorkQueue
from tramontane.tasks.waiting import run, run_async, stream


def counted(steps: int, seen: list[Any] | None = None, name: str = "") -> Generator[Any, None, int]:
    try:
        for step in range(steps):
            if seen is not None:
                seen.append(name)
            yield Progress(step + 1, steps)
        return steps
    finally:
        if seen is not None:
            seen.append(f"{name} closed")


def held(begun: threading.Event, go: threading.Event) -> Generator[Any, None, str]:
    begun.set()
    go.wait(60)
    yield None
    return "done"


def test_result_progress_and_errors() -> None:
    queue = WorkQueue()
    shown: list[Progress] = []
    assert run(queue, counted(3), shown.append) == 3
    assert [(each.done, each.total) for each in shown] == [(1, 3), (2, 3), (3, 3)]

    def fails() -> Generator[Any, None, None]:
        yield None
        raise RequestError("no such voice 'x'")

    with pytest.raises(RequestError, match="no such voice"):
        run(queue, fails())
    assert queue.stats().done == 1
    assert queue.stats().failed == 1
    assert asyncio.run(run_async(queue, counted(2))) == 2
    queue.close()
    with pytest.raises(RequestError, match="closed"):
        run(queue, counted(1))


def test_running_work_takes_turns_and_the_rest_waits() -> None:
    queue = WorkQueue(options=QueueOptions(running=2))
    begun, go = threading.Event(), threading.Event()
    ended: list[Ended] = []
    done = threading.Semaphore(0)

    def sink(event: Any) -> None:
        if isinstance(event, Ended):
            ended.append(event)
            done.release()

    seen: list[str] = []
    queue.submit(held(begun, go), sink)
    begun.wait(60)
    for name in ("a", "b", "c"):
        queue.submit(counted(3, seen, name), sink)
    assert queue.stats().waiting == 3
    go.set()
    for _ in range(4):
        assert done.acquire(timeout=60)
    # two at a time in turns: c begins when one of the first three has ended
    assert seen.index("b") < seen.index("a closed")
    assert seen.index("c") > min(seen.index("a closed"), seen.index("b closed"))
    assert [each.result for each in ended].count(3) == 3
    queue.close()


def test_cancelling_closes_the_work() -> None:
    queue = WorkQueue()
    seen: list[str] = []
    events = stream(queue, counted(10**9, seen, "long"))
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert queue.drain(60)
    assert seen[-1] == "long closed"
    assert queue.stats().cancelled == 1
    begun, go = threading.Event(), threading.Event()
    first = queue.submit(held(begun, go), lambda event: None)
    begun.wait(60)
    waiting = queue.submit(counted(3, seen, "never begun"), lambda event: None)
    waiting()
    go.set()
    assert queue.drain(60)
    assert "never begun" not in seen
    first()
    queue.close()


def test_a_full_queue_and_a_wait_that_is_too_long() -> None:
    queue = WorkQueue(options=QueueOptions(max_waiting=1, queue_timeout=0.01))
    begun, go = threading.Event(), threading.Event()
    queue.submit(held(begun, go), lambda event: None)
    begun.wait(60)
    late = stream(queue, counted(1))
    with pytest.raises(EngineBusy, match="1 requests wait"):
        run(queue, counted(1))
    threading.Event().wait(0.05)
    go.set()
    (last,) = late
    assert isinstance(last.error, EngineBusy)
    queue.close()


def test_what_fails_in_one_request_does_not_stop_the_others() -> None:
    queue = WorkQueue()

    def clings() -> Generator[Any, None, None]:
        try:
            yield Progress(0, 1)
        finally:
            raise OSError("cannot let go")

    events = stream(queue, clings())
    next(events)
    events.close()  # type: ignore[attr-defined]

    def deaf(event: Any) -> None:
        raise RuntimeError("the loop is closed")

    queue.submit(counted(1), deaf)
    queue.submit(counted(0), deaf)
    assert run(queue, counted(2)) == 2
    assert queue.drain(60)
    assert queue.stats().failed == 2
    queue.close()


def test_work_that_may_begin_at_once_does_not_count_as_waiting() -> None:
    queue = WorkQueue(options=QueueOptions(running=3, max_waiting=0))
    begun, go = threading.Event(), threading.Event()
    queue.submit(held(begun, go), lambda event: None)
    begun.wait(60)
    others = [stream(queue, counted(1)) for _ in range(2)]
    with pytest.raises(EngineBusy, match="wait already"):
        queue.submit(counted(1), lambda event: None)
    go.set()
    assert [list(each)[-1].result for each in others] == [1, 1]
    queue.close()
