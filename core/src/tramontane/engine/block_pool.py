"""Which cache blocks are held and by how many sequences, and what full ones are known to hold.

A full block is known by a digest of its tokens and all that came before them. When nobody holds it
any longer it stays, and is handed out anew only when there is no other: the least recently used
first. Until then a sequence that begins alike takes it instead of computing it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from tramontane.errors import NotEnoughMemory


class BlockPool:
    """Blocks 0 to `count` - 1. remember: whether to keep what sequences leave behind."""

    def __init__(self, count: int, *, remember: bool = True) -> None:
        self.count, self.remember = count, remember
        # taken from the end: low blocks first
        self._free = list(range(count - 1, -1, -1))
        self._left: OrderedDict[int, None] = OrderedDict()
        """Known blocks that nobody holds, the least recently used first."""
        self._holders = [0] * count
        self.forgotten: Callable[[int], None] = lambda block: None
        """Told of each block of which nothing is known any longer."""
        self._digests: dict[int, bytes] = {}
        self._known: dict[bytes, int] = {}
        self.evictions = 0

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free) + len(self._left)

    def take(self, count: int) -> list[int]:
        """Blocks of which nothing is known, held once. Raises NotEnoughMemory."""
        if count > self.free:
            raise NotEnoughMemory(f"the KV cache has {self.free} free blocks, {count} are needed")
        taken = []
        for _ in range(count):
            if self._free:
                block = self._free.pop()
            else:
                block, _ = self._left.popitem(last=False)
                self._forget(block)
                self.evictions += 1
                self.forgotten(block)
            self._holders[block] = 1
            taken.append(block)
        return taken

    def hold(self, blocks: Iterable[int]) -> None:
        """Hold blocks once more."""
        for block in blocks:
            self._holders[block] += 1
            self._left.pop(block, None)

    def give_back(self, blocks: Sequence[int]) -> None:
        """Hold blocks, a sequence's in order, once less."""
        for block in reversed(blocks):  # a beginning is worth more than an end: it goes last
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            if block in self._digests:
                self._left[block] = None
            else:
                self._free.append(block)
                self.forgotten(block)

    def holders(self, block: int) -> int:
        """How many hold a block."""
        return self._holders[block]

    def learn(self, block: int, digest: bytes) -> None:
        """A block is full, and this is what it holds."""
        if self.remember and digest not in self._known:
            self._known[digest] = block
            self._digests[block] = digest

    def unlearn(self, blocks: Iterable[int]) -> None:
        """What these hold cannot be trusted: nobody shall take them for what they seem."""
        for block in blocks:
            if block in self._digests:
                self._forget(block)
                if block in self._left:
                    del self._left[block]
                    self._free.append(block)
                    self.forgotten(block)

    def find(self, digests: Iterable[bytes]) -> list[int]:
        """The blocks known by these digests, up to the first that is not known."""
        found = []
        for digest in digests:
            block = self._known.get(digest)
            if block is None:
                break
            found.append(block)
        return found

    def _forget(self, block: int) -> None:
        del self._known[self._digests.pop(block)]


def chained(before: bytes, tokens: Sequence[int]) -> bytes:
    """The digest of a block with these tokens, after blocks with the digest `before`."""
    return hashlib.blake2b(array("q", tokens).tobytes(), key=before, digest_size=32).digest()


def root(salt: str) -> bytes:
    """The digest before the first block. Requests share blocks with those of equal salt only."""
    return hashlib.blake2b(salt.encode(), digest_size=32).digest()
