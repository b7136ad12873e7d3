"""A group over torch.distributed: Gloo between processors, NCCL between cards.

Sums are gathered and then added: Gloo's own add in an order that depends on a number's place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed
from torch import Tensor

from .combine import add_in_order, side_by_side
from .group import LONGEST, TIME_LIMIT, PeerLost

dist: Any = torch.distributed
T = TypeVar("T")
PLACE = re.compile(r"^\[[^\]]*\] *")
"""Where in Gloo an error was raised."""


class TorchGroup:
    """A `Group` of its own, whatever else a process does with torch.distributed.

    Its ranks meet in a file that only they can read, on one machine, or at a TCP address.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        *,
        file: Path | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        device: torch.device | str = "cpu",
        time_limit: float = TIME_LIMIT,
        weights: tuple[float, ...] = (),
    ) -> None:
        """file: where they meet, instead of at address and port, of rank 0's machine. device:
        where tensors are. Waits until all ranks are there; raises PeerLost where they are not in
        time."""
        self.rank, self.size, self.weights = rank, size, weights
        self.device, self.time_limit = torch.device(device), time_limit
        limit = timedelta(seconds=time_limit)

        def met() -> Any:
            if file is not None:
                store = dist.FileStore(str(file), size)
                store.set_timeout(limit)
            else:
                store = dist.TCPStore(address, port, size, rank == 0, timeout=limit)
            if self.device.type == "cuda":
                nccl = dist.ProcessGroupNCCL.Options()
                nccl._timeout = limit
                return dist.ProcessGroupNCCL(store, rank, size, nccl)
            gloo = dist.ProcessGroupGloo._Options()
            gloo._timeout = limit
            if file is not None:
                gloo._devices = [dist.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
            else:
                gloo._devices = [dist.ProcessGroupGloo.create_default_device()]
            return dist.ProcessGroupGloo(store, rank, size, gloo)

        self._inner = self._guard(met)
        self._length = torch.zeros(1, dtype=torch.int64, device=self.device)

    def all_reduce(self, x: Tensor) -> Tensor:
        return add_in_order(x, self._gather(x))

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        widest = max(widths)
        if x.shape[-1] != widest:
            x = torch.nn.functional.pad(x, (0, widest - x.shape[-1]))
        parts = self._gather(x.contiguous())
        return side_by_side([each[..., :n] for each, n in zip(parts, widths, strict=True)])

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        mine = data if data is not None and self.rank == source else b""
        if len(mine) > LONGEST:
            raise ValueError(f"a message of {len(mine)} bytes, of at most {LONGEST}")
        self._length.fill_(len(mine))
        self._send(self._length, source)
        length = int(self._length)
        if not 0 <= length <= LONGEST:
            raise PeerLost(f"rank {source} announces a message of {length} bytes")
        if not length:
            return b""
        if mine:
            raw = torch.frombuffer(bytearray(mine), dtype=torch.uint8).to(self.device)
        else:
            raw = torch.empty(length, dtype=torch.uint8, device=self.device)
        self._send(raw, source)
        return raw.cpu().numpy().tobytes()

    def close(self) -> None:
        self._inner = None

    def _send(self, x: Tensor, source: int) -> None:
        told = dist.BroadcastOptions()
        told.rootRank, told.rootTensor = source, 0
        self._guard(lambda: self._there().broadcast([x], told).wait())

    def _gather(self, x: Tensor) -> list[Tensor]:
        """Every rank's x. Tensors of another device than the group's go by way of it."""
        held = x.to(self.device)
        parts = [torch.empty_like(held) for _ in range(self.size)]
        self._guard(lambda: self._there().allgather([parts], [held]).wait())
        return [part.to(x.device) for part in parts]

    def _there(self) -> Any:
        if self._inner is None:
            raise PeerLost(f"rank {self.rank} of {self.size} has left the others")
        return self._inner

    def _guard(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (RuntimeError, ValueError) as error:
            said = PLACE.sub("", str(error).strip().partition("\n")[0])[:120]
            slow = "imed out" in said or "imeout" in said
            what = f"did not answer within {self.time_limit:g} s" if slow else f"is gone: {said}"
            raise PeerLost(f"another rank than {self.rank} of {self.size} {what}") from error
