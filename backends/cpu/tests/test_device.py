"""What the probe finds."""

from __future__ import annotations

import os
import subprocess
import sys

from tramontane_backend_cpu import device, threads


def test_probe() -> None:
    (found,) = device.probe()
    assert found.name == "cpu"
    assert 0 < found.memory_free <= found.memory_total
    assert set(found.features) <= set(device.REPORTED)


def test_threads_are_bounded_by_affinity() -> None:
    assert 1 <= threads.usable() <= len(os.sched_getaffinity(0))


def test_probing_is_light() -> None:
    code = "import sys, tramontane_backend_cpu.device as d; d.probe(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numba", "numpy"} & set(done.stdout.split())
