"""Memory got ahead: used before other memory is, counted as free, and let go of."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from tramontane_backend_cpu import device, early_memory
from tramontane_backend_cpu.arena import LINE, Slabs

SIZE = 48 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux gives memory when asked")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(early_memory, "LEAST", 1 << 20)
    yield
    early_memory.forget()


def expect(size: int) -> None:
    """Expect so many bytes, and wait until they are there."""
    early_memory.expect(size)
    for ahead in early_memory._now:
        assert ahead.thread is not None
        ahead.thread.join()


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_matrices_lie_in_it_one_after_the_other() -> None:
    expect(SIZE)
    whole = early_memory.take()
    first, end = whole.ctypes.data, whole.ctypes.data + SIZE
    ends = []
    for _ in range(2):  # a file is read in several goes
        slabs = Slabs(SIZE)
        for _ in range(2):
            array = slabs.take((1000, 1000), np.uint16)
            assert array.ctypes.data % LINE == 0
            array[:] = len(ends)
            ends.append((array.ctypes.data, array))
        slabs.close()
    places = [place for place, _ in ends]
    assert places == sorted(places)
    assert first <= places[0]
    assert places[-1] + 2_000_000 <= end
    assert [int(array[500, 500]) for _, array in ends] == [0, 1, 2, 3]
    large = Slabs(SIZE).take((SIZE,), np.uint8)  # does not fit any more
    assert not first <= large.ctypes.data < end


def test_what_is_not_used_is_let_go() -> None:
    before = resident()
    expect(SIZE)
    if early_memory.held() < SIZE - (8 << 20):
        pytest.skip("this kernel does not give memory when asked")
    assert resident() - before > SIZE * 3 // 4
    slabs = Slabs(SIZE)
    kept = slabs.take((1 << 20,), np.uint8)
    kept[:] = 7
    slabs.close()
    early_memory.forget()
    assert resident() - before < SIZE // 2
    assert (kept == 7).all()
    assert early_memory.held() == 0
    assert early_memory.take() is None


def test_it_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tramontane.memory.free", lambda: 1 << 30)
    (found,) = device.probe()
    expect(SIZE)
    (then,) = device.probe()
    assert then.memory_free - found.memory_free == early_memory.held()


@pytest.mark.parametrize(("wanted", "free"), [(1 << 19, 1 << 40), (SIZE, SIZE)])
def test_what_is_small_or_too_large_is_not_got(
    wanted: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tramontane.memory.free", lambda: free)
    early_memory.expect(wanted)
    assert early_memory.take() is None
    assert Slabs(100).take((100,), np.uint8).shape == (100,)
