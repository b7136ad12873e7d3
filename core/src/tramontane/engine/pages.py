"""Where the blocks of layers with a window lie: only what is within the window has a page.

Sequences have one table of blocks for all layers. Layers that see a window of w tokens keep the
keys and values of a block while some sequence may still look at it; then its page goes to another
block. A block without a page is at `nowhere`, a page of zeros behind the last, which may be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .block_pool import BlockPool


class Pages:
    """The pages of all layers with one window. window: tokens. block_size: tokens."""

    def __init__(self, blocks: int, window: int, block_size: int) -> None:
        self.window, self.nowhere = window, blocks
        self.of = np.full(blocks, blocks, np.int64)
        """By block."""
        self._block_size = block_size
        # taken from the end, and what was given back first: few pages are ever touched
        self._free = list(range(blocks - 1, -1, -1))

    @property
    def used(self) -> int:
        """Pages that hold something."""
        return len(self.of) - len(self._free)

    def look(self, blocks: Tensor) -> Tensor:
        """The pages of blocks."""
        return torch.from_numpy(self.of).to(blocks.device)[blocks]

    def ready(self, blocks: Iterable[int]) -> None:
        """Give blocks that are to be written a page, if they have none."""
        for block in blocks:
            if self.of[block] == self.nowhere:
                self.of[block] = self._free.pop()

    def release(self, blocks: Iterable[int]) -> None:
        """What these hold will not be looked at again."""
        for block in blocks:
            if self.of[block] != self.nowhere:
                self._free.append(int(self.of[block]))
                self.of[block] = self.nowhere

    def first(self, length: int) -> int:
        """The first of a sequence's blocks that its token at place `length` looks at."""
        return max(0, length - self.window + 1) // self._block_size

    def passed(self, blocks: Sequence[int], before: int, after: int, pool: BlockPool) -> None:
        """A sequence went from `before` to `after` tokens: what it leaves behind, and nobody else
        holds, is not looked at again."""
        behind = blocks[self.first(before) : self.first(after)]
        self.release(block for block in behind if pool.holders(block) == 1)

    def usable(self, blocks: Sequence[int], most: int) -> int:
        """How many of the first `most` of known blocks can be gone on from: those within the
        window before that place still have their pages."""
        held = [self.of[block] != self.nowhere for block in blocks[:most]]
        for count in range(most, 0, -1):
            if all(held[self.first(count * self._block_size) : count]):
                return count
        return 0
