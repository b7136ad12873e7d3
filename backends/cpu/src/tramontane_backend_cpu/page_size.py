"""Memory for weights in large pages: at once where these are quick to get, else after a while.

Large pages save looking pages up, a tenth of the time that decoding takes. On a virtual machine
those that are free may have been handed back to the host, which takes one or two seconds to give a
gigabyte; small ones, of which the guest keeps some, take a third of a second. So large ones are
timed as they come. From where they were slow on small ones are taken, of which large ones are made
when the model answers already.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tramontane.backend import BACKGROUND

POPULATE_WRITE, COLLAPSE = 23, 25
"""Advice of Linux 5.14 and 6.1: get pages now; make a large one of small ones. Older ones refuse
it, and nothing happens."""
LARGE = 2 << 20
STEP = 4 << 20
"""Bytes that are got and timed at once."""
SLOW = 1e9
"""Bytes a second; small pages come at three times that, large ones mostly at ten or more."""
REST = 1
"""How many times as long as it works the thread rests that makes pages large."""
PATIENCE = 0.25
"""Seconds that it waits for a step to end, before each page: on its core the step would wait."""
SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")

_small: list[tuple[weakref.ref[Any], int, int]] = []


def get(array: Any, start: int, size: int) -> bool:
    """Get an array's pages from an address on, and decide what those behind are like. Whether they
    came."""
    before = time.thread_time()  # of the clock's time others may have had some
    if not advise(start, size, POPULATE_WRITE):
        return False
    took = time.thread_time() - before
    if took * SLOW > size and not _is_small(array):
        _make_small(array, start + size)
    return True


def settle(array: Any, size: int) -> None:
    """Get an array's first `size` bytes, all to be written to, for as long as they come in large
    pages quickly."""
    if sys.platform != "linux":
        return
    start, end = _whole_pages(array[:size])
    if _small and end > start:  # it is that kind of machine
        _make_small(array, start)
    while start + STEP <= end and not _is_small(array) and get(array, start, STEP):
        start += STEP


def enlarge(busy: Callable[[], bool]) -> None:
    """Begin to make large pages of what is in small ones, in a thread; nothing waits for it.

    busy: whether a step is on its way.
    """
    if _small:
        told = list(_small)
        _small.clear()
        if "[never]" not in _setting():
            threading.Thread(
                target=_enlarge, args=(told, busy), name=BACKGROUND, daemon=True
            ).start()


def _enlarge(told: list[tuple[weakref.ref[Any], int, int]], busy: Callable[[], bool]) -> None:
    for held, first, end in told:
        start = -(-first // LARGE) * LARGE
        while start + LARGE <= end:
            _wait(busy)
            array = held()  # or its memory might be another's by now
            if array is None:
                break
            before = time.perf_counter()
            advise(start, LARGE, mmap.MADV_HUGEPAGE)
            if not advise(start, LARGE, COLLAPSE):  # nothing was written to what follows
                break
            del array
            start += LARGE
            time.sleep(REST * (time.perf_counter() - before))


def _wait(busy: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while busy() and time.monotonic() < until:
        time.sleep(PATIENCE / 50)


def advise(start: int, size: int, advice: int) -> bool:
    """madvise without Python's lock; whether it was taken."""
    return bool(_madvise()(start, size, advice) == 0)


@cache
def _madvise() -> Any:
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    return function


def _make_small(array: Any, start: int) -> None:
    """Let what nobody has got yet be in small pages, for now."""
    end = _whole_pages(array)[1]
    if end > start:
        advise(start, end - start, mmap.MADV_NOHUGEPAGE)
        _small.append((weakref.ref(array), start, end))


def _is_small(array: Any) -> bool:
    return any(held() is array for held, _, _ in _small)


def _whole_pages(array: Any) -> tuple[int, int]:
    """Where an array's first whole page begins and its last one ends."""
    page, first = mmap.PAGESIZE, array.ctypes.data
    return -(-first // page) * page, (first + len(array)) // page * page


def _setting() -> str:
    try:
        return SETTING.read_text()
    except OSError:
        return "[never]"
