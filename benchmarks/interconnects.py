"""What the ranks of one machine wait for each other: sums of floats over several interconnects.

    python benchmarks/interconnects.py [--ranks 2] [--floats 2048 1000000] [--rounds 20]

All are measured in turns by the same processes, so that whatever else the machine does meets all of
them. Microseconds for one sum: the least and the median of all turns, as rank 0 has them; and how
many times Gloo's own sum takes as long (`torch.distributed.all_reduce`), by the median.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

OURS = ("shm", "ring")
GLOO = "gloo's own"
TURN = 0.05
"""Seconds that one takes of a turn, about."""


def rank_of(rank: int, size: int, ports: list[int], floats: list[int], rounds: int) -> None:
    """A process."""
    import torch
    import torch.distributed as dist
    from tramontane.parallel.interconnect import choose
    from tramontane.parallel.meeting import Meeting
    from tramontane.registry import Registry

    torch.set_num_threads(1)
    registry = Registry.from_environment()
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{ports[0]}", rank=rank, world_size=size
    )
    sums: dict[str, Callable[[torch.Tensor], Any]] = {GLOO: dist.all_reduce}
    groups = []
    for name, port in zip(OURS, ports[1:], strict=True):
        groups.append(choose(name, registry).join(Meeting(rank=rank, size=size, port=port)))
        sums[name] = groups[-1].all_reduce
    for count in floats:
        x = torch.zeros(count)
        times: dict[str, list[float]] = {name: [] for name in sums}
        repeats = {name: turns(call, x) for name, call in sums.items()}
        for name in sums:  # all ranks the same
            told = [repeats[name]] if rank == 0 else [0]
            dist.broadcast_object_list(told, 0)
            repeats[name] = told[0]
        for _ in range(rounds):
            for name, call in sums.items():
                dist.barrier()
                for _ in range(repeats[name]):
                    started = time.perf_counter()
                    call(x)
                    times[name].append(time.perf_counter() - started)
        if rank == 0:
            show(count, size, times)
    for group in groups:
        group.close()
    dist.destroy_process_group()


def turns(call: Callable[[Any], Any], x: Any) -> int:
    """How many of a kind make a turn."""
    started = time.perf_counter()
    for _ in range(10):
        call(x)
    return max(3, min(1000, int(10 * TURN / (time.perf_counter() - started))))


def show(count: int, size: int, times: dict[str, list[float]]) -> None:
    print(f"{count} floats, {size} ranks{'':10} least    median  Gloo's median by this")
    usual = statistics.median(times[GLOO])
    for name, found in times.items():
        median = statistics.median(found)
        ratio = f"{usual / median:10.1f}"
        print(f"  {name:26} {min(found) * 1e6:8.1f} {median * 1e6:9.1f} {ratio}", flush=True)


def free_ports(count: int, size: int) -> list[int]:
    """Each with `size` - 1 that are probably free after it."""
    found = []
    for index in range(count):
        with socket.create_server(("127.0.0.1", 0)) as server:
            found.append(server.getsockname()[1] + index * size)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--floats", type=int, nargs="+", default=[2048, 1_000_000])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ports = free_ports(1 + len(OURS), options.ranks)
    told = (options.ranks, ports, options.floats, options.rounds)
    ranks = [context.Process(target=rank_of, args=(n, *told)) for n in range(options.ranks)]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join()
    if failed := [each.exitcode for each in ranks if each.exitcode]:
        raise SystemExit(f"a rank ended with {failed[0]}")


if __name__ == "__main__":
    main()
