"""How fast this machine reads memory: `python -m tramontane.cli.memory_speed THREADS`.

In a process of its own, so that its gigabyte does not count as the model's.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

CACHES = Path("/sys/devices/system/cpu")


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


def cache_size(root: Path = CACHES) -> int:
    """Bytes of the processor's last caches, all of them; where the system does not say, 64 MB."""
    sizes: dict[tuple[int, str], int] = {}
    for folder in root.glob("cpu[0-9]*/cache/index[0-9]*"):
        try:
            level = int((folder / "level").read_text())
            shared = (folder / "shared_cpu_list").read_text()
            size = (folder / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        if size.endswith("K") and size[:-1].isdigit():
            sizes[level, shared] = int(size[:-1]) << 10
    last = max((level for level, _ in sizes), default=0)
    return sum(size for (level, _), size in sizes.items() if level == last) or 64 << 20


if __name__ == "__main__":
    sys.stdout.write(f"{measure(int(sys.argv[1]))}\n")
