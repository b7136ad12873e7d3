"""Pairs of narrow matrices, of adapters, as the kernel reads them; and their product alone."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.layouts.low_rank import LowRank

from .kernels.low_rank import FIELDS, KINDS, MOST, WIDTH, add_low_rank, tile
from .step import interpreter
from .step.memory import Rooms, address, rows_at
from .step.pool import Pool
from .step.products import Operation, arguments
from .step.runs import runs_of

SMALLER = {1: torch.bfloat16, 2: torch.float16}
"""By places in KINDS."""


@dataclass(frozen=True, eq=False)
class Pair:
    """first: (rank, columns). second: (blocks, rank, 16). kinds: places in KINDS."""

    first: Tensor
    second: Tensor
    kinds: tuple[int, int]
    rank: int

    def words(self, factor: int, share: int = -1) -> list[int]:
        """As the kernel's PAIR has it. factor: address of a float32. share: which of a vector's
        shares is the factor instead."""
        first, second = self.kinds
        told = [rows_at(self.first), first, rows_at(self.second), second, self.rank]
        return [*told, factor, share]


_packed: dict[int, Pair] = {}


def packed(matrix: LowRank) -> Pair:
    """A pair, packed once for as long as the matrix lives; in 16 bits where no number changes."""
    if id(matrix) not in _packed:
        rows, rank = matrix.left.shape
        blocks = -(-rows // WIDTH)
        padded = torch.zeros(blocks * WIDTH, rank)
        padded[:rows] = matrix.left
        second = padded.view(blocks, WIDTH, rank).mT.contiguous()
        first, kind = _small(matrix.right.float().contiguous())
        second, other = _small(second)
        _packed[id(matrix)] = Pair(first, second, (kind, other), rank)
        weakref.finalize(matrix, _packed.pop, id(matrix), None)
    return _packed[id(matrix)]


def _small(tensor: Tensor) -> tuple[Tensor, int]:
    for kind, dtype in SMALLER.items():
        small = tensor.to(dtype)
        if torch.equal(small.float(), tensor):
            return small, kind
    return tensor, KINDS.index("f32")


def scratch_bytes(rank: int) -> int:
    """What a thread takes for the narrow products."""
    return -(-4 * MOST * rank // 64) * 64


def multiply_low_rank(x: Tensor, matrix: LowRank, pool: Pool) -> Tensor:
    """x (left right)ᵀ, (tokens, rows) float32, with the bits of a recorded step with adapters."""
    pair, (rows, columns) = packed(matrix), matrix.shape
    numbers = np.ascontiguousarray(x.detach().float().numpy())
    count = len(numbers)
    out = np.zeros((count, rows), np.float32)
    one = np.ones(1, np.float32)
    pairs = np.array([1, *pair.words(address(one))], np.int64)
    table = np.array([address(pairs)], np.int64)
    directory = np.array([address(table)], np.int64)
    runs = np.array(runs_of([(0, count, 0)]), np.int64)
    room = Rooms(pool.threads)
    size = scratch_bytes(pair.rank)
    told = arguments(
        FIELDS, runs=address(runs), directory=address(directory), module=0, input=address(numbers),
        input_stride=4 * columns, columns=columns, out=address(out), stride=4 * rows, rows=rows,
        scratch=room.room(size), scratch_bytes=size, shares=0,
    )  # fmt: skip
    operation = Operation(add_low_rank(*tile()).address, told, -1, len(runs) // 3)
    pool.run(_step(pool, operation))
    return torch.from_numpy(out)


def _step(pool: Pool, operation: Operation) -> interpreter.Step:
    from .step.lower import table

    phases = np.array([(interpreter.JOBS, 0, 1, 0)], np.int64)
    counts: Any = np.zeros(8, np.int64)
    return pool.step(phases, table([operation]), counts)
