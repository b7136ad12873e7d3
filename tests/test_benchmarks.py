"""Benchmarks run: in the smallest size, since what they measure is looked at by people."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "plugins/embedded/src/tramontane_plugin_embedded/model.gguf"
ATTENTION = ["attention.py", "--rounds", "1", "--depth", "64", "--heads", "2", "--kv-heads", "1"]
RUNS = [
    (["overhead.py", str(MODEL), "--gen", "8"], "of a step"),
    (["table.py", "--start", "--rounds", "1", str(MODEL)], "prepared"),
    (["drafts.py", "--gen", "8", "--rounds", "1"], "undraftable"),
]
if os.environ.get("TRAMONTANE_FULL") == "1":  # it compiles kernels for every type of cache
    RUNS.append((ATTENTION, "int4"))


@pytest.mark.parametrize(("line", "said"), RUNS, ids=lambda value: value[0])
def test_it_runs(line: list[str], said: str) -> None:
    script, *options = line
    command = [sys.executable, str(ROOT / "benchmarks" / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
