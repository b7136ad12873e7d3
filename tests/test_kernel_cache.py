"""Compiled kernels are kept: for the next process, and whoever else compiles at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """\
import logging, sys
begun = []
sys.addaudithook(lambda event, _: event == "subprocess.Popen" and begun.append(event))
logging.getLogger("tramontane.progress").setLevel(logging.INFO)
logging.basicConfig(format="%(message)s")
from tramontane import LLM, SamplingParams
from tramontane_backend_cpu import prepare
from tramontane_backend_cpu.precompile import _compilers
translated, wished = prepare.translated, []
def reads(matrices, pool):
    wished.append(_compilers._total)
    return translated(matrices, pool)
prepare.translated = reads
with LLM(num_ctx=128, threads=2) as llm:
    ready = _compilers._number
    print(llm.generate("Once", SamplingParams(temperature=0, max_tokens=8)).text)
print("numba imported", "numba" in sys.modules, file=sys.stderr)
print("processes begun", len(begun), file=sys.stderr)
print("wished for before reading", wished[0] == _compilers._total, file=sys.stderr)
print("compiled when loaded", ready == _compilers._number, file=sys.stderr)
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
    assert all("compiling kernels for this machine, once (1 of" in errors for _, errors in told)
    third = start(tmp_path)
    answer, errors = third.communicate()
    assert third.returncode == 0, errors
    assert "compiling" not in errors
    assert "numba imported False" in errors
    assert "processes begun 0" in errors
    assert {text for text, _ in told} == {answer}


@pytest.mark.slow
def test_other_processes_compile_everything_ahead(tmp_path: Path) -> None:
    """In a home that is read-only, so that each start is the first."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    process = start(blocked)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert errors.count("cannot keep compiled kernels") == 1
    assert "numba imported False" in errors
    assert "processes begun 2" in errors
    assert "wished for before reading True" in errors
    assert "compiled when loaded True" in errors
