"""Huge pages for weights: at once if they are quick to allocate, else later in the background.

Huge pages avoid TLB misses, a tenth of the time of decoding. On a virtual machine free huge pages
may have been returned to the host, which takes one or two seconds to provide a gigabyte; small
pages, some of which the guest retains, take a third of a second. So the allocation of huge pages is
timed. Once it is slow, small pages are used, which are merged to huge ones after the model is
ready.
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
"""madvise values of Linux 5.14 and 6.1: allocate pages now; merge small ones to a huge one. Older
kernels reject them, without other effect."""
LARGE = 2 << 20
STEP = 4 << 20
"""Bytes that are allocated and timed at once."""
SLOW = 1e9
"""Bytes per second; small pages take a third of that time, huge ones usually a tenth or less."""
REST = 1
"""Idle time of the background thread, relative to its working time."""
PATIENCE = 0.25
"""Maximum seconds to wait for a running step before each page, so as not to take its core."""
SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")

_small: list[tuple[weakref.ref[Any], int, int]] = []


def get(array: Any, start: int, size: int) -> bool:
    """Allocate an array's pages from an address on; if that is slow, use small pages for the rest.
    Returns whether the system supports it."""
    before = time.thread_time()  # wall-clock time would include other threads
    if not advise(start, size, POPULATE_WRITE):
        return False
    took = time.thread_time() - before
    if took * SLOW > size and not _is_small(array):
        _make_small(array, start + size)
    return True


def settle(array: Any, size: int) -> None:
    """Allocate an array's first `size` bytes, all of which will be written, in huge pages, as long
    as these are quick to allocate."""
    if sys.platform != "linux":
        return
    start, end = _complete_pages(array[:size])
    if _small and end > start:  # huge pages were slow before
        _make_small(array, start)
    while start + STEP <= end and not _is_small(array) and get(array, start, STEP):
        start += STEP


def enlarge(busy: Callable[[], bool]) -> None:
    """Start to merge small pages to huge ones in a background thread.

    busy: whether a step is running.
    """
    if _small:
        ranges = list(_small)
        _small.clear()
        if "[never]" not in _setting():
            threading.Thread(
                target=_enlarge, args=(ranges, busy), name=BACKGROUND, daemon=True
            ).start()


def _enlarge(ranges: list[tuple[weakref.ref[Any], int, int]], busy: Callable[[], bool]) -> None:
    for held, first, end in ranges:
        start = -(-first // LARGE) * LARGE
        while start + LARGE <= end:
            _wait(busy)
            array = held()  # a reference, so that its memory is not freed meanwhile
            if array is None:
                break
            before = time.perf_counter()
            advise(start, LARGE, mmap.MADV_HUGEPAGE)
            if not advise(start, LARGE, COLLAPSE):  # the following pages were never written
                break
            del array
            start += LARGE
            time.sleep(REST * (time.perf_counter() - before))


def _wait(busy: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while busy() and time.monotonic() < until:
        time.sleep(PATIENCE / 50)


def advise(start: int, size: int, advice: int) -> bool:
    """Call madvise without holding the GIL; returns whether it succeeded."""
    return bool(_madvise()(start, size, advice) == 0)


@cache
def _madvise() -> Any:
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    return function


def _make_small(array: Any, start: int) -> None:
    """Use small pages for an array's bytes from an address on, until `enlarge`."""
    end = _complete_pages(array)[1]
    if end > start:
        advise(start, end - start, mmap.MADV_NOHUGEPAGE)
        _small.append((weakref.ref(array), start, end))


def _is_small(array: Any) -> bool:
    return any(held() is array for held, _, _ in _small)


def _complete_pages(array: Any) -> tuple[int, int]:
    """Addresses of the start of an array's first complete page, and of the end of its last one."""
    page, first = mmap.PAGESIZE, array.ctypes.data
    return -(-first // page) * page, (first + len(array)) // page * page


def _setting() -> str:
    try:
        return SETTING.read_text()
    except OSError:
        return "[never]"
