"""Page tables of layers that see a part of a context: only blocks within that part have a page.

A sequence has one block table for all layers. Layers with a window of w tokens, or with chunks,
keep the keys and values of a block while some sequence may still attend to it; then its page is
reused for another block. A block without a page maps to `nowhere`, a page of zeros after the last,
which may be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .block_pool import BlockPool


class Pages:
    """The pages of all layers with one window. window: tokens. block_size: tokens. chunked: whether
    a token sees from the beginning of its chunk of `window` tokens, instead of the last ones."""

    def __init__(self, blocks: int, window: int, block_size: int, *, chunked: bool = False) -> None:
        self.window, self.chunked, self.nowhere = window, chunked, blocks
        self.of = np.full(blocks, blocks, np.int64)
        """Page of each block, (blocks) int64."""
        self._block_size = block_size
        # a stack: recently released pages are reused first, so that few pages are ever touched
        self._free = list(range(blocks - 1, -1, -1))

    @property
    def used(self) -> int:
        """Number of pages in use."""
        return len(self.of) - len(self._free)

    def look(self, blocks: Tensor) -> Tensor:
        """The pages of blocks, in the same shape."""
        return torch.from_numpy(self.of).to(blocks.device)[blocks]

    def ready(self, blocks: Iterable[int]) -> None:
        """Assign pages to blocks that will be written, where they have none."""
        for block in blocks:
            if self.of[block] == self.nowhere:
                self.of[block] = self._free.pop()

    def release(self, blocks: Iterable[int]) -> None:
        """Release the pages of blocks that no sequence will attend to again."""
        for block in blocks:
            if self.of[block] != self.nowhere:
                self._free.append(int(self.of[block]))
                self.of[block] = self.nowhere

    def first(self, length: int) -> int:
        """Index of the first of a sequence's blocks that its token at position `length` sees."""
        if self.chunked:
            return length // self.window * self.window // self._block_size
        return max(0, length - self.window + 1) // self._block_size

    def passed(self, blocks: Sequence[int], before: int, after: int, pool: BlockPool) -> None:
        """Release the blocks that left the window when a sequence grew from `before` to `after`
        tokens, unless another sequence holds them."""
        behind = blocks[self.first(before) : self.first(after)]
        self.release(block for block in behind if pool.holders(block) == 1)

    def usable(self, blocks: Sequence[int], most: int) -> int:
        """How many of the first `most` cached blocks a sequence can continue from: all blocks
        within the window before that position must still have pages."""
        held = [self.of[block] != self.nowhere for block in blocks[:most]]
        for count in range(most, 0, -1):
            if all(held[self.first(count * self._block_size) : count]):
                return count
        return 0
