"""Kernels on an OpenCL device: in a process of their own, as torch has room for one such device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tramontane_backend_opencl import device, explain

HERE = Path(__file__).parent / "on_device"
FILES = sorted(HERE.glob("check_*.py"))


def test_there_are_files() -> None:
    assert len(FILES) == 7


def test_kernels() -> None:
    """All files in one process, which compiles a kernel once."""
    if not device.probe():
        why = "; ".join(reason.message for reason in explain.explain())
        pytest.skip(f"no OpenCL device here: {why}")
    quiet = ["-q", "-p", "no:cacheprovider", "-W", "error"]
    command = [sys.executable, "-m", "pytest", *quiet, *map(str, FILES)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TRAMONTANE_ON_DEVICE": "1"}
    for name in [name for name in environment if name.startswith("PYTEST")]:
        del environment[name]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
