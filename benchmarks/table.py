"""Tramontane and llama.cpp in turn, on the same files, as a Markdown table.

    ./dev bench MODEL.gguf ... [--peer-python PATH] [--prompt 512] [--gen 64] [--depth 0,2048]
                [--parallel 1,8,16] [--threads 2] [--rounds 2] [--reps 3]
    ./dev bench --start MODEL.gguf ...         cold starts instead: see start.py

--peer-python: the Python of an environment with llama-cpp-python; without it only Tramontane is
measured. A folder instead of a file is a Hugging Face checkpoint; FILE=PEER names another file for
the peer, such as the f16 GGUF of bfloat16 weights. The engines take turns; medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def ours(path: str, work: list[int]) -> dict[str, Any]:
    """`tramontane bench` in a process of its own."""
    threads, prompt, gen, depth, parallel, reps = work
    options = {"-t": threads, "--prompt": prompt, "--gen": gen, "--depth": depth,
               "--parallel": parallel, "--reps": reps}  # fmt: skip
    command = [sys.executable, "-m", "tramontane", "bench", "-m", path, "--json"]
    told = _run([*command, *(str(part) for pair in options.items() for part in pair)])
    rates = {"prefill" if r["prompt"] else "decode": r for r in told["results"]}
    decode = rates.get("decode", {})
    return {
        **{name: result["tokens_per_second"] for name, result in rates.items()},
        "load": told["load_seconds"],
        "peak": told["peak_memory"],
        "share": decode.get("bandwidth_share"),
        "version": " ".join(f"{k} {v}" for k, v in told["versions"].items()),
    }


def peer(python: str, path: str, work: list[int]) -> dict[str, Any]:
    """llama.cpp, the same way."""
    return _run([python, str(HERE / "llama_cpp_speed.py"), path, *map(str, work)])


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr.strip()[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return told


def rows(
    name: str, work: list[int], mine: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> Iterable[str]:
    """A line of the table for each thing that was measured."""
    _, prompt, gen, depth, parallel, _ = work
    where = (f" at depth {depth}" if depth else "") + (
        f", {parallel} sequences" if parallel > 1 else ""
    )
    things = [
        ("prefill", f"prefill {prompt}{where}, t/s", 1.0),
        ("decode", f"decode {gen}{where}, t/s", 1.0),
    ]
    if not depth and parallel == 1:
        things += [("load", "load and first step, s", 1.0), ("peak", "peak memory, GB", 1e-9)]
    for key, what, scale in things:
        values = [run[key] * scale for run in mine if run.get(key)]
        others = [run[key] * scale for run in theirs if run.get(key)]
        if values and (key != "prefill" or parallel == 1):
            yield line(name, what, values, others)
    shares = [run["share"] for run in mine if run.get("share")]
    if shares:
        share = f"{statistics.median(shares):.0%}"
        yield f"| {name} | decode {gen}{where}, share of memory bandwidth | | {share} | |"


def line(name: str, what: str, values: list[float], others: list[float]) -> str:
    """| file | work | peer | ours | ratio |"""
    value = statistics.median(values)
    if not others:
        return f"| {name} | {what} | | {value:.4g} | |"
    other = statistics.median(others)
    return f"| {name} | {what} | {other:.4g} | {value:.4g} | {value / other:.2f}x |"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.partition(":")[2].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        "./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--peer-python", metavar="PATH")
    for name, default in (("prompt", "512"), ("gen", "64"), ("depth", "0"), ("parallel", "1")):
        parser.add_argument(f"--{name}", default=default, metavar="N,...")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--reps", type=int, default=3)
    options = parser.parse_args()
    lists = [
        [int(n) for n in getattr(options, k).split(",")]
        for k in ("prompt", "gen", "depth", "parallel")
    ]
    works = [
        [options.threads, p, g, d, n, options.reps]
        for d in lists[2] for n in lists[3] for p in lists[0] for g in lists[1]
    ]  # fmt: skip
    versions: set[str] = set()
    print("| model | work | llama.cpp | Tramontane | ratio |\n|---|---|---|---|---|", flush=True)
    for model in options.models:
        path, _, other = model.partition("=")
        for work in works:
            mine, theirs = [], []
            for _ in range(options.rounds):
                if options.peer_python:
                    theirs.append(peer(options.peer_python, other or path, work))
                mine.append(ours(path, work))
            versions |= {run["version"] for run in (*mine, *theirs)}
            print("\n".join(rows(Path(path).name, work, mine, theirs)), flush=True)
    machine = f"{_cpu()}, {options.threads} threads"
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine}; {'; '.join(sorted(versions))}")


if __name__ == "__main__":
    if "--start" in sys.argv[1:]:
        import start

        start.main([each for each in sys.argv[1:] if each != "--start"])
    else:
        main()
