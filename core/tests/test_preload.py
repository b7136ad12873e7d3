"""Work beside the forward pass: done when it is waited for, whatever becomes of it."""

from __future__ import annotations

import threading

from tramontane.engine.overlap import OverlapWorker


def test_calls_run_in_a_thread_of_their_own_and_are_over_after_waiting() -> None:
    ahead, ran = OverlapWorker(), []
    gate = threading.Event()
    for number in range(3):
        ahead.start([lambda: gate.wait() and None, lambda n=number: ran.append((n, here()))])
        assert len(ran) == number
        gate.set()
        ahead.wait()
    assert [n for n, _ in ran] == [0, 1, 2]
    assert here() not in {name for _, name in ran}
    ahead.close()


def here() -> str:
    return threading.current_thread().name


def test_one_that_fails_does_not_stop_the_others() -> None:
    ahead, ran = OverlapWorker(), []

    def fail() -> None:
        raise ValueError("in the other thread")

    ahead.start([fail, lambda: ran.append(1)])
    ahead.wait()
    assert ran == [1]
    ahead.close()


def test_with_nothing_to_do_there_is_no_thread() -> None:
    before = threading.active_count()
    ahead = OverlapWorker()
    ahead.start([])
    ahead.wait()
    assert threading.active_count() == before
    ahead.close()
