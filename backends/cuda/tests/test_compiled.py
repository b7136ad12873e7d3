"""Kernels compiled for cards that are not here, against the table of docs/cuda.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane_backend_cuda import triton_here

from .compile_for import PAGE, TARGETS, Compiled, read_table

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
MORE = 1.2
"""How many times the registers of the table a kernel may take."""
SHARED = 99 * 1024
"""Bytes of shared memory that a program may take on all cards from sm_80 on."""
CHANGED = "python backends/cuda/tests/compile_for.py --table rewrites the table"


@pytest.fixture(scope="module")
def made() -> list[Compiled]:
    if not triton_here.installed():
        pytest.skip("triton is not installed: pip install tramontane-backend-cuda[interpreter]")
    command = [sys.executable, str(Path(__file__).with_name("compile_for.py"))]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [*command, "--full"] if FULL else command,
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return [Compiled(**each) for each in json.loads(done.stdout)]


def each_in_the_table(made: list[Compiled]) -> Iterator[tuple[Compiled, Any]]:
    known = read_table(PAGE.read_text())
    for each in made:
        assert (each.kernel, each.target) in known, f"{each.kernel}: {CHANGED}"
        yield each, known[each.kernel, each.target]


def test_registers_and_spills_are_no_more_than_in_the_table(made: list[Compiled]) -> None:
    for each, (registers, _, spilled, _) in each_in_the_table(made):
        assert each.registers <= MORE * registers, f"{each}: {registers} before; {CHANGED}"
        assert each.spilled <= spilled, f"{each}: {spilled} before; {CHANGED}"


def test_matrix_instructions_are_those_of_the_table(made: list[Compiled]) -> None:
    for each, (*_, matrix) in each_in_the_table(made):
        assert each.matrix == matrix, f"{each}: {matrix} before; {CHANGED}"


def test_few_rows_and_many_have_one_instruction(made: list[Compiled]) -> None:
    """A row's bits cannot depend on how many others there are."""
    for target in TARGETS:
        found = {
            each.matrix for each in made if each.target == f"sm_{target}" and each.matrix
        }  # fmt: skip
        assert found == {"mma.m16n8k16"}


def test_shared_memory_is_there_on_every_card(made: list[Compiled]) -> None:
    for each in made:
        assert each.shared <= SHARED, each


def test_the_table_has_every_kernel(made: list[Compiled]) -> None:
    kernels = {kernel for kernel, _ in read_table(PAGE.read_text())}
    assert kernels == {each.kernel for each in made}
