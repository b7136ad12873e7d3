"""Walking over the blocks of a tensor a cacheful at a time, and the memory that results go to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tramontane.block_format import Raw as Raw

CACHEFUL = 1 << 18
"""Bytes of blocks translated at once; temporaries are a few times this for any tensor."""


def chunks(raw: Raw, block: np.dtype[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Runs of blocks as records, each with its place among all blocks."""
    count, size = len(raw) // block.itemsize, block.itemsize
    step = max(1, CACHEFUL // size)
    for start in range(0, count, step):
        stop = min(start + step, count)
        yield slice(start, stop), raw[start * size : stop * size].view(block)


def field(records: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """One field of bytes of each record: (blocks, bytes), contiguous."""
    # as opaque items numpy copies each with one memmove
    return np.ascontiguousarray(records[name]).view(np.uint8).reshape(len(records), -1)


def split(words: NDArray[Any], shifts: Sequence[int], mask: int) -> NDArray[Any]:
    """Several parts of each number (...), shifted to the right and masked: (..., parts)."""
    # one shift at a time: numpy is ten times as slow with a last axis of two to four
    out = np.empty((*words.shape, len(shifts)), words.dtype)
    for index, shift in enumerate(shifts):
        np.right_shift(words, shift, out=out[..., index])
    np.bitwise_and(out, mask, out=out)
    return out


class Out:
    """A tensor (rows, per_row) to be filled block by block through numpy."""

    def __init__(self, dtype: torch.dtype, rows: int, per_row: int) -> None:
        self.tensor: Tensor = torch.empty((rows, per_row), dtype=dtype)

    def blocks(self, count: int) -> NDArray[Any]:
        """(blocks, elements per block), the same memory."""
        flat: NDArray[Any] = self.tensor.numpy()
        return flat.reshape(count, -1)

    def items(self, count: int, nbytes: int) -> NDArray[Any]:
        """(blocks, items per block), each item `nbytes` opaque bytes of the same memory."""
        return self.blocks(count).view(np.uint8).view(f"V{nbytes}")
