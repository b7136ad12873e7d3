"""The threads: no step is lost, whoever asks, however long they slept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor
from tramontane_backend_cpu.eager import multiply_packed
from tramontane_backend_cpu.packing import Interleaved, pack
from tramontane_backend_cpu.step.pool import Pool

from . import matrices


def multiplier(pool: Pool, bits: int, shape: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """Multiplies with a random matrix on the pool's threads."""
    original = matrices.affine(bits, 32, 1, "zero", shape)
    weight = Interleaved(pack(original, pool), original.kind)
    multiply = multiply_packed(False, pool)
    return lambda x: multiply(x, weight)  # type: ignore[arg-type]


def test_many_callers() -> None:
    pool = Pool(2)
    multiply = multiplier(pool, 8, (300, 512))
    inputs = [torch.randn(1, 512) for _ in range(6)]
    expected = [multiply(x) for x in inputs]
    wrong = []

    def work(index: int) -> None:
        for turn in range(60):
            if not torch.equal(multiply(inputs[index]), expected[index]):
                wrong.append((index, turn))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    pool.close()


def test_sleepers_are_woken() -> None:
    """Steps that come as the threads go to sleep, a little earlier, a little later."""
    pool = Pool(3)
    multiply = multiplier(pool, 4, (70, 256))
    x = torch.randn(2, 256)
    expected = multiply(x)
    for pause in range(300):
        time.sleep((pause % 30) * 1e-4)
        assert torch.equal(multiply(x), expected)
    pool.close()


def test_closed_pools_leave_no_thread() -> None:
    before = threading.active_count()
    pool = Pool(4)
    pool.close()
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_other_python_goes_on_meanwhile() -> None:
    """Kernels do not hold Python's lock."""
    pool = Pool(1)
    multiply = multiplier(pool, 8, (4096, 2048))
    x = torch.randn(256, 2048)
    multiply(x)
    done = threading.Event()
    turns = 0

    def work() -> None:
        multiply(x)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(1e-4):
        turns += 1
    thread.join()
    pool.close()
    assert turns > 3
