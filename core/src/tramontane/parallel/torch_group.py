"""A group over torch.distributed: Gloo between processors, NCCL between cards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from .group import TIME_LIMIT, Group, PeerLost
from .meeting import Meeting

T = TypeVar("T")
LONGEST = 1 << 28
"""Bytes of the longest message."""


def join(meeting: Meeting) -> Group:
    """Of a meeting's device: Gloo for the CPU, NCCL for cards."""
    return TorchGroup(
        meeting.rank,
        meeting.size,
        address=meeting.address,
        port=meeting.port,
        backend="gloo" if meeting.device == "cpu" else "nccl",
        device=meeting.device,
        time_limit=meeting.time_limit,
        weights=meeting.weights,
    )


class TorchGroup:
    """A `Group` that meets at a TCP address and then speaks Gloo or NCCL.

    Sums are gathered and then added: Gloo's own add in an order that depends on a number's place.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        *,
        address: str = "127.0.0.1",
        port: int,
        backend: str = "gloo",
        device: torch.device | str = "cpu",
        time_limit: float = TIME_LIMIT,
        weights: tuple[float, ...] = (),
    ) -> None:
        """Wait until all ranks are there. Raises PeerLost where they are not in time."""
        self.rank, self.size, self.weights = rank, size, weights
        self.device, self.time_limit = torch.device(device), time_limit
        self._closed = False
        self._lengths = torch.zeros(1, dtype=torch.int64, device=self.device)
        limit = timedelta(seconds=time_limit)
        self._guard(
            lambda: dist.init_process_group(
                backend,
                init_method=f"tcp://{address}:{port}",
                rank=rank,
                world_size=size,
                timeout=limit,
                device_id=self.device if backend == "nccl" else None,
            )
        )

    def all_reduce(self, x: Tensor) -> Tensor:
        parts = self._gather(x)
        total = parts[0].float()
        for part in parts[1:]:
            total = total.add_(part)
        return x.copy_(total)

    def all_gather(self, x: Tensor, widths: Sequence[int]) -> Tensor:
        widest = max(widths)
        if x.shape[-1] != widest:
            x = torch.nn.functional.pad(x, (0, widest - x.shape[-1]))
        parts = self._gather(x.contiguous())
        return torch.cat([each[..., :n] for each, n in zip(parts, widths, strict=True)], dim=-1)

    def broadcast(self, data: bytes | None, source: int = 0) -> bytes:
        given = data is not None and self.rank == source
        if given and len(data or b"") > LONGEST:
            raise ValueError(f"a message of {len(data or b'')} bytes, of at most {LONGEST}")
        self._lengths.fill_(len(data or b""))
        self._guard(lambda: dist.broadcast(self._lengths, source))
        length = int(self._lengths)
        if not 0 <= length <= LONGEST:
            raise PeerLost(f"rank {source} announces a message of {length} bytes")
        if not length:
            return b""
        if given:
            raw = torch.frombuffer(bytearray(data or b""), dtype=torch.uint8).to(self.device)
        else:
            raw = torch.empty(length, dtype=torch.uint8, device=self.device)
        self._guard(lambda: dist.broadcast(raw, source))
        return raw.cpu().numpy().tobytes()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if dist.is_initialized():
            dist.destroy_process_group()

    def _gather(self, x: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(x) for _ in range(self.size)]
        self._guard(lambda: dist.all_gather(parts, x))
        return parts

    def _guard(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (RuntimeError, ValueError) as error:
            first = next(itertools.chain(str(error).strip().splitlines(), [""]))[:200]
            raise PeerLost(
                f"rank {self.rank} of {self.size}: another rank is gone, or did not answer within "
                f"{self.time_limit:g} s: {first}"
            ) from error
