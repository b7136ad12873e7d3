"""Ranks as threads of one process: a group for tests of what ranks compute, without its cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from tramontane.parallel.group import PeerLost

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds that a thread waits for the others."""


class _Table:
    """Where all put their parts."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)
        self.parts: list[Any] = [None] * size


class ThreadGroup:
    """A `tramontane.parallel.group.Group` of threads."""

    def __init__(self, rank: int, size: int, weights: tuple[float, ...], table: _Table) -> None:
        self.rank, self.size, self.weights = rank, size, weights
        self._table = table

    def all_reduce(self, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for part in self._parts(x.clone()):
            total = part.float().clone() if total is None else total + part
        assert total is not None
        return x.copy_(total)

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        parts = self._parts(x.clone())
        assert [part.shape[-1] for part in parts] == list(widths)
        return torch.cat(parts, -1)

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        found: bytes = self._parts(data)[source]
        return found

    def close(self) -> None:
        self._table.barrier.abort()

    def _parts(self, part: Any) -> list[Any]:
        table = self._table
        try:
            table.parts[self.rank] = part
            table.barrier.wait(PATIENCE)
            found = list(table.parts)
            table.barrier.wait(PATIENCE)
        except threading.BrokenBarrierError as error:
            raise PeerLost("a thread has left") from error
        return found


def on_ranks(
    size: int, work: Callable[[ThreadGroup], T], weights: tuple[float, ...] = ()
) -> list[T]:
    """What `work` returns on each of `size` ranks. Raises the first error of one."""
    table = _Table(size)
    found: list[Any] = [None] * size
    failed: list[BaseException] = []

    def run(rank: int) -> None:
        group = ThreadGroup(rank, size, weights, table)
        try:
            found[rank] = work(group)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)
            group.close()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    failed.sort(key=lambda error: isinstance(error, PeerLost))
    if failed:
        raise failed[0]
    return found
