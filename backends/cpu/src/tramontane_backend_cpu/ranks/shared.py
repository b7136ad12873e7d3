"""A group of ranks on one machine, over memory that they share."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.parallel.combine import side_by_side
from tramontane.parallel.group import LONGEST, PeerLost
from tramontane.parallel.meeting import Meeting
from tramontane.system.cores import allowed_cores

from tramontane_backend_cpu.step.pool import AWAKE, give_way

from . import kernels
from .kernels import BLOCK, CHUNK, GONE, INTERRUPTED, PROCESS, SLOT, STALLED, STATE
from .segment import meet

PATIENCE = 2000
"""Looks at a post before the core is yielded at each; none where ranks exceed cores."""
TICKS = 20
"""In how many parts a rank sleeps away its time limit."""


class SharedMemory:
    """A `tramontane.parallel.group.Group`. Meets as the meeting says, by its port."""

    def __init__(self, meeting: Meeting) -> None:
        self.rank, self.size, self.weights = meeting.rank, meeting.size, meeting.weights
        self.time_limit = meeting.time_limit
        self._using, self._lost = threading.RLock(), ""
        self._closed = False
        for kernel in kernels.KERNELS:
            _ = kernel.ctypes  # compiled before the others wait for it
        segment = meet(meeting, self.size * (BLOCK + 2 * SLOT))
        self._memory, self._sockets = segment.memory, segment.sockets
        self._shared = np.frombuffer(segment.memory, np.uint8)
        self._files = np.full(self.size, -1 & 0xFFFFFFFF, np.int64)
        for rank, each in self._sockets.items():
            each.setblocking(False)
            self._files[rank] = each.fileno() | select.POLLIN << 32
        self._scratch = np.zeros(64, np.uint8)
        self._state = self._make_state()
        self._address = int(self._state.ctypes.data)
        self._processes = self._shared[: BLOCK * self.size].view(np.int64)
        self._processes[(BLOCK * self.rank + PROCESS) // 8] = os.getpid()
        self.broadcast(b"" if self.rank == 0 else None)

    def all_reduce(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype != torch.float32 or not x.is_contiguous():
            return x.copy_(self.all_reduce(x.cpu().float().contiguous()))
        if self.size > 1:
            self._run(kernels.reduce.ctypes, x.data_ptr(), x.numel())
        return x

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        if x.device.type != "cpu":
            return self.all_gather(x.cpu(), widths).to(x.device)
        shapes = [(*x.shape[:-1], width) for width in widths]
        found = [x.new_empty(shape) for shape in shapes]
        found[self.rank].copy_(x)
        if self.size > 1:
            self._swap([each.data_ptr() for each in found], [each.nbytes for each in found])
        return side_by_side(found)

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        if self.rank == source and len(data or b"") > LONGEST:
            raise ValueError(f"a message of {len(data or b'')} bytes, of at most {LONGEST}")
        if self.size == 1:
            return data or b""
        mine = (
            np.frombuffer(data or b"", np.uint8) if self.rank == source else np.empty(0, np.uint8)
        )
        whole = None if self.rank != source else mine
        at, length = 0, len(mine)
        while whole is None or at < length or not at:
            count = min(CHUNK, length - at) if self.rank == source else 0
            self._run(kernels.put.ctypes, mine.ctypes.data + at, count, length)
            if self.rank != source:
                length = self._run(kernels.length_of.ctypes, source)
                if length > LONGEST:
                    self._fail(f"{self._name(source)} announces a message of {length} bytes")
                if whole is None:
                    whole = np.empty(length, np.uint8)
                count = min(CHUNK, length - at)
                self._run(kernels.take.ctypes, source, whole.ctypes.data + at, count)
            kernels.finish.ctypes(self._address)
            at += max(count, 1)
        return whole.tobytes()

    def native(self) -> tuple[int, int]:
        """The address of a compiled (state, x, count) -> int64 that sums float32 numbers at an
        address as `all_reduce` does, and the state. `check` is told its result if that is not 0."""
        return kernels.reduce.address, self._address

    def check(self, result: int) -> None:
        """Raises PeerLost where a result of the compiled function says so."""
        if result < 0:
            self._fail(self._meaning(result))

    def close(self) -> None:
        for each in self._sockets.values():
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._using:  # a call that waits has seen the end of the sockets
            self._closed = True
            for each in self._sockets.values():
                each.close()

    def _swap(self, addresses: Sequence[int], sizes: Sequence[int]) -> None:
        """Every rank's bytes to every other's place for them."""
        for at in range(0, max(sizes), CHUNK):
            counts = [max(0, min(CHUNK, size - at)) for size in sizes]
            mine = self.rank
            self._run(kernels.put.ctypes, addresses[mine] + at, counts[mine], sizes[mine])
            for rank in range(self.size):
                if rank != mine:
                    self._run(kernels.take.ctypes, rank, addresses[rank] + at, counts[rank])
            kernels.finish.ctypes(self._address)

    def _run(self, function: Callable[..., int], *arguments: int) -> int:
        with self._using:
            if self._lost or self._closed:
                raise PeerLost(self._lost or "the group is closed")
            while (result := function(self._address, *arguments)) == INTERRUPTED:
                pass  # Python handles the signal here
        if result < 0:
            self._fail(self._meaning(result))
        return result

    def _meaning(self, result: int) -> str:
        if result > STALLED:
            return f"{self._name(GONE - result)} is gone"
        return f"{self._name(STALLED - result)} did not answer within {self.time_limit:g} s"

    def _fail(self, why: str) -> None:
        self._lost = f"rank {self.rank} of {self.size}: {why}"
        self.close()
        raise PeerLost(self._lost)

    def _name(self, rank: int) -> str:
        process = int(self._processes[(BLOCK * rank + PROCESS) // 8])
        return f"rank {rank} (process {process})" if process else f"rank {rank}"

    def _make_state(self) -> Any:
        interval = max(1, math.ceil(1000 * self.time_limit / TICKS))
        crowded = self.size > allowed_cores()
        told = {
            "rank": self.rank,
            "size": self.size,
            "shared": self._shared.ctypes.data,
            "looks": AWAKE,
            "patience": 0 if crowded else PATIENCE,
            "give_way": give_way(),
            "poll": _function("poll"),
            "read": _function("read"),
            "write": _function("write"),
            "files": self._files.ctypes.data,
            "scratch": self._scratch.ctypes.data,
            "interval": interval,
            "intervals": TICKS,
            "first_gone": kernels.NOBODY,
        }
        return np.array([told.get(name, 0) for name in STATE], np.int64)


def _function(name: str) -> int:
    return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0
