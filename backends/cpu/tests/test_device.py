"""What the probe finds, and where compiled kernels are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tramontane_backend_cpu import device, threads


def test_probe() -> None:
    (found,) = device.probe()
    assert found.name == "cpu"
    assert 0 < found.memory_free <= found.memory_total
    assert set(found.features) <= set(device.TOLD)


def test_threads_are_bounded_by_affinity() -> None:
    assert 1 <= threads.usable() <= len(os.sched_getaffinity(0))


def test_probing_is_light() -> None:
    code = "import sys, tramontane_backend_cpu.device as d; d.probe(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numba", "numpy"} & set(done.stdout.split())


def test_a_cache_folder_that_cannot_be_is_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    code = (
        "import logging; logging.basicConfig(); import tramontane_backend_cpu.numba_setup as s;"
        "print(s.numba.config.CACHE_DIR)"
    )
    environment = {**os.environ, "TRAMONTANE_CACHE": str(blocked)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr.count("cannot keep compiled kernels") == 1
    assert str(blocked) not in done.stdout
