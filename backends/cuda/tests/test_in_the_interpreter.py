"""The kernels in Triton's interpreter: each file in a process of its own, since Triton decides when
it is imported whether functions are compiled or interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tramontane_backend_cuda import triton_here

FILES = sorted((Path(__file__).parent / "interpreted").glob("check_*.py"))
if os.environ.get("TRAMONTANE_FULL") != "1":  # the interpreter takes half a minute for whole models
    FILES = [file for file in FILES if file.stem != "check_models"]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_kernels(file: Path) -> None:
    if not triton_here.installed():
        pytest.skip("triton is not installed: pip install tramontane-backend-cuda[interpreter]")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    for name in [name for name in environment if name.startswith("PYTEST")]:
        del environment[name]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
