"""How fast this machine reads memory: `python -m tramontane.cli.memory_speed THREADS`.

In a process of its own, so that its gigabyte does not count as the model's.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import psutil


def bandwidth(threads: int) -> float:
    """Bytes per second, of as many threads; 0: as many as torch takes."""
    command = [sys.executable, "-m", "tramontane.cli.memory_speed", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(threads: int) -> float:
    """The sum of what no cache holds, which takes as long as reading it."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    size = min(1 << 30, psutil.virtual_memory().available // 4)
    data = torch.ones(size // 4)
    times = []
    for _ in range(8):
        started = time.perf_counter()
        data.sum()
        times.append(time.perf_counter() - started)
    return data.nbytes / statistics.median(times[1:])


if __name__ == "__main__":
    sys.stdout.write(f"{measure(int(sys.argv[1]))}\n")
