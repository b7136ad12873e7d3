"""Processor time of commands that only look things up: help, completion with Tab, list.

    python benchmarks/command_start.py

Each is run ten times; printed is the least, user and system time together, of the process and
those that it started.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 10
MODELS = 200
FILE = b"x" * 64


def spent(command: list[str], environment: dict[str, str]) -> float:
    """Least milliseconds of several runs."""
    found = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found) * 1000


def write_cache(folder: Path) -> None:
    """A hub's cache with models of a file each."""
    for number in range(MODELS):
        repository = folder / f"models--org--model-{number}"
        for part in ("blobs", "refs", "snapshots/c0ffee"):
            (repository / part).mkdir(parents=True)
        (repository / "refs" / "main").write_text("c0ffee")
        (repository / "blobs" / "b").write_bytes(FILE)
        (repository / "snapshots" / "c0ffee" / "m.gguf").symlink_to("../../blobs/b")


def main() -> None:
    """Print a line for each."""
    program = str(Path(sys.executable).with_name("tramontane"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cache(folder)
        environment = {**os.environ, "HF_HUB_CACHE": name, "TRAMONTANE_CONFIG": ""}
        script = folder / "completion.bash"
        script.write_bytes(subprocess.check_output([program, "completion", "bash"]))
        tab = (
            f"source {script}; COMP_WORDS=(tramontane run --temp); COMP_CWORD=2; _tramontane; "
            '[ "${COMPREPLY[0]}" = --temperature ]'
        )
        for said, command in (
            ("python alone", [sys.executable, "-c", ""]),
            ("--help", [program, "--help"]),
            ("completion with Tab, bash", ["bash", "-c", tab]),
            (f"list of {MODELS} models", [program, "list"]),
        ):
            print(f"{said}: {spent(command, environment):.0f} ms")


if __name__ == "__main__":
    main()
