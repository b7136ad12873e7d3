"""What a sandbox costs: its start, a session's start, a warm call.

    python benchmarks/sandbox.py [--kind auto] [--rounds 40]

Prints milliseconds: the median by the clock, what nine of ten are below, and the time of
processors, which is the same on a busy machine; beside them bare processes, without any sandbox.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from tramontane_plugin_sandbox import PythonSession, Sandbox


def measured(name: str, rounds: int, work: Callable[[], object]) -> None:
    times = []
    before = sum(os.times()[:4])
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - begun))
    used = 1000 * (sum(os.times()[:4]) - before) / rounds
    times.sort()
    print(
        f"{name:<34}{statistics.median(times):8.2f}{times[int(0.9 * (rounds - 1))]:8.2f}{used:8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with Sandbox(kind=options.kind) as sandbox, PythonSession(sandbox) as session:
        print(f"{sandbox.kind + ', ms':<34}{'median':>8}{'90 %':>8}{'used':>8}")

        def start_session() -> None:
            session.run("1")
            session.close()

        python = [sys.executable, "-I", "-S", "-c", "pass"]
        measured("a bare process", options.rounds, lambda: subprocess.run(["true"], check=True))
        measured("a bare Python", options.rounds, lambda: subprocess.run(python, check=True))
        measured("a command (true) in a sandbox", options.rounds, lambda: sandbox.run(["true"]))
        measured("a session's start and first code", options.rounds, start_session)
        session.run("1")
        measured("code in a warm session", options.rounds, lambda: session.run("1 + 1"))


if __name__ == "__main__":
    main()
