"""Which pages memory comes in: large ones while they are quick, and in the end."""

from __future__ import annotations

import mmap
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tramontane.backend import BACKGROUND
from tramontane_backend_cpu import huge_pages
from tramontane_backend_cpu.arena import Slabs
from tramontane_backend_cpu.huge_pages import COLLAPSE, LARGE, POPULATE_WRITE, STEP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that has both")
SIZE = 6 * STEP


class System:
    """Stands in for Linux. slow: which call to get pages, the first being 0, is the first slow."""

    def __init__(self) -> None:
        self.slow: int | None = None
        self.advised: list[tuple[int, int, int]] = []
        self.clock = 0.0

    def advise(self, start: int, size: int, advice: int) -> bool:
        got = sum(told == POPULATE_WRITE for _, _, told in self.advised)
        self.advised.append((start, size, advice))
        if advice == POPULATE_WRITE:
            is_slow = self.slow is not None and got >= self.slow
            self.clock += size / (huge_pages.SLOW / 2 if is_slow else huge_pages.SLOW * 10)
        return True

    def told(self, advice: int) -> list[tuple[int, int]]:
        return [(start, size) for start, size, given in self.advised if given == advice]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    system = System()
    monkeypatch.setattr(huge_pages, "advise", system.advise)
    monkeypatch.setattr(huge_pages, "_small", [])
    monkeypatch.setattr(huge_pages, "_setting", lambda: "always [madvise] never")
    monkeypatch.setattr("time.thread_time", lambda: system.clock)
    return system


def enlarged(busy: bool = False) -> None:
    huge_pages.enlarge(lambda: busy)
    for thread in threading.enumerate():
        if thread.name == BACKGROUND:
            thread.join()


def test_quick_pages_are_large_all_of_them(system: System) -> None:
    array = np.empty(SIZE, np.uint8)
    huge_pages.settle(array, SIZE)
    assert len(system.told(POPULATE_WRITE)) == (SIZE - mmap.PAGESIZE) // STEP
    assert not system.told(mmap.MADV_NOHUGEPAGE)
    enlarged()
    assert not system.told(COLLAPSE)


def test_from_slow_ones_on_they_are_small_and_become_large(system: System) -> None:
    system.slow = 2
    array = np.empty(SIZE, np.uint8)
    huge_pages.settle(array, SIZE)
    (first, _), _, (third, _) = system.told(POPULATE_WRITE)
    ((start, size),) = system.told(mmap.MADV_NOHUGEPAGE)
    assert start == third + STEP == first + 3 * STEP
    assert start + size <= array.ctypes.data + SIZE < start + size + mmap.PAGESIZE
    enlarged()
    made = system.told(COLLAPSE)
    assert made == system.told(mmap.MADV_HUGEPAGE)
    assert all(place % LARGE == 0 and length == LARGE for place, length in made)
    assert sum(length for _, length in made) > size - 2 * LARGE
    before = len(system.advised)
    enlarged()
    assert len(system.advised) == before, "once is enough"


def test_steps_go_first_but_not_for_ever(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "PATIENCE", 1e-3)
    system.slow = 0
    array = np.empty(SIZE, np.uint8)
    huge_pages.settle(array, SIZE)
    enlarged(busy=True)
    assert system.told(COLLAPSE)


def test_the_next_slab_does_not_try_again(system: System) -> None:
    system.slow = 0
    slabs = Slabs(SIZE)
    one = slabs.take((SIZE // 2,), np.uint8)
    other = Slabs(SIZE).take((SIZE // 2,), np.uint8)
    assert len(system.told(POPULATE_WRITE)) == 1
    assert len(system.told(mmap.MADV_NOHUGEPAGE)) == 2
    assert one.ctypes.data != other.ctypes.data


def test_only_what_will_be_written_is_got(system: System) -> None:
    slabs = Slabs(2 * STEP)
    slabs.take((STEP,), np.uint8)
    assert sum(size for _, size in system.told(POPULATE_WRITE)) <= 2 * STEP
    got = len(system.told(POPULATE_WRITE))
    slabs.take((200 << 20,), np.uint8)  # beside what was expected
    assert len(system.told(POPULATE_WRITE)) == got + (STEP - mmap.PAGESIZE) // STEP


def test_memory_that_is_gone_is_left_alone(system: System) -> None:
    system.slow = 0
    array = np.empty(SIZE, np.uint8)
    huge_pages.settle(array, SIZE)
    gone = weakref.ref(array)
    del array
    assert gone() is None
    enlarged()
    assert not system.told(COLLAPSE)


def test_whoever_wants_no_large_pages_gets_none(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huge_pages, "_setting", lambda: "always madvise [never]")
    system.slow = 0
    array = np.empty(SIZE, np.uint8)
    huge_pages.settle(array, SIZE)
    enlarged()
    assert not system.told(COLLAPSE)


def test_numbers_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "_small", [])
    monkeypatch.setattr(huge_pages, "SLOW", 1e30)
    array: Any = np.empty(SIZE, np.uint8)
    huge_pages.settle(array, SIZE)
    numbers = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)
    array[:] = numbers
    enlarged()
    np.testing.assert_array_equal(array, numbers)
