"""Compiled kernels are kept: for the next process, and whoever else compiles at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """\
import logging, sys
logging.getLogger("tramontane.progress").setLevel(logging.INFO)
logging.basicConfig(format="%(message)s")
from tramontane import LLM, SamplingParams
with LLM(num_ctx=128) as llm:
    print(llm.generate("Once", SamplingParams(temperature=0, max_tokens=8)).text)
print("numba imported", "numba" in sys.modules, file=sys.stderr)
"""


def start(cache: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TRAMONTANE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", CODE]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


@pytest.mark.slow
def test_two_processes_at_once_and_a_third(tmp_path: Path) -> None:
    both = [start(tmp_path) for _ in range(2)]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert all("compiling kernels for this machine, once" in errors for _, errors in told)
    assert all("numba imported True" in errors for _, errors in told)
    third = start(tmp_path)
    answer, errors = third.communicate()
    assert third.returncode == 0, errors
    assert "compiling" not in errors
    assert "numba imported False" in errors
    assert {text for text, _ in told} == {answer}
