"""From a cold process to the first token, and peak memory: a first start of ours, one with a
prepared model, and llama.cpp's, in turn, as a Markdown table.

    ./dev bench --start MODEL.gguf ... [--peer-python PATH] [--rounds 3] [--threads 2]

Every start is a process of its own, imports included; the page cache is warm, kernels are compiled.
CPU time counts all threads, user and system, so it says something on a busy machine too. Prepared
models lie in a folder that is removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONTEXT, PROMPT = 640, "hello"
PEER, FIRST, PREPARED = "llama.cpp", "first start", "prepared"


@dataclass(frozen=True)
class Start:
    """wall, cpu: seconds. peak: bytes of memory, shared pages of files included."""

    wall: float
    cpu: float
    peak: int


def started(command: list[str], changes: Mapping[str, str]) -> Start:
    """Run a process to its end."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **changes}
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read().decode()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Start(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


def ours(model: str, threads: int) -> list[str]:
    options = ["-m", model, "-t", str(threads), "--num-ctx", str(CONTEXT), "--no-template"]
    once = ["-i", PROMPT, "-n", "1", "-q"]
    return [sys.executable, "-m", "tramontane", "run", *options, *once]


def peer(python: str, model: str, threads: int) -> list[str]:
    script = str(HERE / "llama_cpp_start.py")
    return [python, script, model, str(threads), str(CONTEXT), PROMPT]


def measured(
    model: str, python: str | None, threads: int, rounds: int, cache: str
) -> dict[str, list[Start]]:
    """Starts of each kind, which take turns."""
    settings = {"TRAMONTANE_CACHE": cache}
    warmup = [sys.executable, "-m", "tramontane", "warmup", "-m", model, "-t", str(threads)]
    started([*warmup, "--num-ctx", str(CONTEXT)], settings)
    runs: dict[str, tuple[list[str], Mapping[str, str]]] = {}
    if python:
        runs[PEER] = peer(python, model, threads), {}
        started(*runs[PEER])
    runs[FIRST] = ours(model, threads), {**settings, "TRAMONTANE_PREPARED": "off"}
    runs[PREPARED] = ours(model, threads), settings
    found: dict[str, list[Start]] = {kind: [] for kind in runs}
    for _ in range(rounds):
        for kind, run in runs.items():
            found[kind].append(started(*run))
    return found


def rows(name: str, found: Mapping[str, list[Start]]) -> list[str]:
    """A line for each kind: medians, and how many times the first kind's."""
    lines = []
    first: tuple[float, ...] = ()
    for kind, starts in found.items():
        values = [
            statistics.median(getattr(start, field) for start in starts)
            for field in ("wall", "cpu", "peak")
        ]
        first = first or tuple(values)
        ratios = [f"{value / base:.2f}x" for value, base in zip(values, first, strict=True)]
        shown = [f"{values[0]:.2f} s", f"{values[1]:.2f} s", f"{values[2] / 1e6:.0f} MB"]
        cells = [f"{value} ({ratio})" for value, ratio in zip(shown, ratios, strict=True)]
        lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    return lines


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "./dev bench --start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--peer-python", metavar="PATH")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    print("| model | start | wall-clock | CPU | peak memory |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for model in options.models:
            found = measured(model, options.peer_python, options.threads, options.rounds, cache)
            print("\n".join(rows(Path(model).name, found)), flush=True)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{time.strftime('%Y-%m-%d')}, {options.threads} threads, load average {load}")


if __name__ == "__main__":
    main(sys.argv[1:])
