"""How much of a graphics card a model gets: bandwidth when generating, and prompt tokens a second.

    python benchmarks/cuda.py MODEL [--prompt 2048] [--gen 256] [--parallel 1,16] [--depth 0,8192]

Prints a Markdown table, with steps recorded as CUDA graphs and without, and the card's name, its
driver and the versions. The card's bandwidth is measured by copying a gigabyte, which reads and
writes it. Says so, and measures nothing, where there is no card. Not run on a card yet.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

COPIED = 1 << 30
COPIES = 20


def bandwidth(torch_device: str) -> float:
    """Bytes a second that the card's memory reads and writes."""
    import torch

    source = torch.empty(COPIED, dtype=torch.uint8, device=torch_device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(COPIES):
        torch.cuda.synchronize(torch_device)
        started = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize(torch_device)
        best = max(best, 2 * COPIED / (time.perf_counter() - started))
    return best


def bench(model: str, device: str, options: Sequence[str], graphs: bool) -> dict[str, Any]:
    """`tramontane bench` in a process of its own."""
    command = [sys.executable, "-m", "tramontane", "bench", "-m", model, "--device", device]
    environment = os.environ | {"TRAMONTANE_CUDA_GRAPHS": "1" if graphs else "0"}
    done = subprocess.run(
        [*command, *options, "--json"], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(done.args)} failed:\n{done.stderr.strip()[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return told


def row(result: dict[str, Any], weights: int, speed: float, graphs: bool) -> str:
    """A result as a line of the table. A step of one sequence reads all weights once."""
    rate = result["tokens_per_second"]
    prompt, parallel = result.get("prompt", 0), result.get("parallel", 1)
    share = "" if prompt else f"{rate / parallel * weights / speed:.0%}"
    work = f"prompt of {prompt}" if prompt else f"{parallel} sequences"
    depth = result.get("depth", 0)
    return f"| {work} | {depth} | {'yes' if graphs else 'no'} | {rate:.1f} | {share} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--device", default="cuda")
    for name, default in (
        ("prompt", "2048"), ("gen", "256"), ("parallel", "1,16"), ("depth", "0,8192"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", default=default)
    told = parser.parse_args()
    from tramontane_backend_cuda.device import probe
    from tramontane_backend_cuda.explain import explain

    cards = [device for device in probe() if device.torch_device != "cpu"]
    if not cards:
        print(f"nothing was measured, no card: {'; '.join(r.message for r in explain())}")
        return
    card = next((each for each in cards if each.name == told.device), cards[0])
    speed = bandwidth(card.torch_device)
    print(f"{card.label}, {dict(card.details)}, {speed / 1e9:.0f} GB/s when copying\n")
    print(
        "| work | depth | recorded | tokens a second | share of bandwidth |\n|---|---|---|---|---|"
    )
    names = ("prompt", "gen", "parallel", "depth")
    options = [word for name in names for word in (f"--{name}", getattr(told, name))]
    for graphs in (True, False):
        result = bench(told.model, card.name, options, graphs)
        for each in result["results"]:
            print(row(each, result.get("bytes_in_memory", 0), speed, graphs))


if __name__ == "__main__":
    main()
