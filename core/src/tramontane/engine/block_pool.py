"""Reference counts of cache blocks, and the prefix cache: full blocks by a hash of their content.

A full block is identified by a digest of its tokens and of all tokens before them. When its
reference count drops to zero it stays cached, and is evicted only when no block is free: the least
recently used first. Until then a sequence with the same prefix uses it instead of computing it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from tramontane.errors import NotEnoughMemory


class BlockPool:
    """Blocks 0 to `count` - 1. remember: whether released full blocks stay cached."""

    def __init__(self, count: int, *, remember: bool = True) -> None:
        self.count, self.remember = count, remember
        # taken from the end: low blocks first
        self._free = list(range(count - 1, -1, -1))
        self._unheld: OrderedDict[int, None] = OrderedDict()
        """Cached blocks with no holder, the least recently used first."""
        self._holders = [0] * count
        self.forgotten: Callable[[int], None] = lambda block: None
        """Called with each block that is no longer cached."""
        self._digests: dict[int, bytes] = {}
        self._by_digest: dict[bytes, int] = {}
        self.evictions = 0

    @property
    def free(self) -> int:
        """Number of blocks with no holder, cached ones included."""
        return len(self._free) + len(self._unheld)

    def take(self, count: int) -> list[int]:
        """Allocate `count` blocks with a reference count of 1. Raises NotEnoughMemory."""
        if count > self.free:
            raise NotEnoughMemory(f"the KV cache has {self.free} free blocks, {count} are needed")
        taken = []
        for _ in range(count):
            if self._free:
                block = self._free.pop()
            else:
                block, _ = self._unheld.popitem(last=False)
                self._forget(block)
                self.evictions += 1
                self.forgotten(block)
            self._holders[block] = 1
            taken.append(block)
        return taken

    def hold(self, blocks: Iterable[int]) -> None:
        """Increment the reference counts of blocks."""
        for block in blocks:
            self._holders[block] += 1
            self._unheld.pop(block, None)

    def give_back(self, blocks: Sequence[int]) -> None:
        """Decrement the reference counts of blocks, given in a sequence's order."""
        for block in reversed(blocks):  # prefixes are the most useful, so they are evicted last
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            if block in self._digests:
                self._unheld[block] = None
            else:
                self._free.append(block)
                self.forgotten(block)

    def holders(self, block: int) -> int:
        """A block's reference count."""
        return self._holders[block]

    def learn(self, block: int, digest: bytes) -> None:
        """Register a full block under the digest of its content."""
        if self.remember and digest not in self._by_digest:
            self._by_digest[digest] = block
            self._digests[block] = digest

    def unlearn(self, blocks: Iterable[int]) -> None:
        """Remove blocks from the prefix cache, because their content may be wrong."""
        for block in blocks:
            if block in self._digests:
                self._forget(block)
                if block in self._unheld:
                    del self._unheld[block]
                    self._free.append(block)
                    self.forgotten(block)

    def find(self, digests: Iterable[bytes]) -> list[int]:
        """The cached blocks with these digests, up to the first that is not cached."""
        blocks = []
        for digest in digests:
            block = self._by_digest.get(digest)
            if block is None:
                break
            blocks.append(block)
        return blocks

    def _forget(self, block: int) -> None:
        del self._by_digest[self._digests.pop(block)]


def chained(before: bytes, tokens: Sequence[int], media: bytes = b"") -> bytes:
    """The digest of a block with these tokens, after blocks with the digest `before`. media: what
    stands behind those of them that are rows of media."""
    content = array("q", tokens).tobytes() + media
    return hashlib.blake2b(content, key=before, digest_size=32).digest()


def root(salt: str, adapters: bytes = b"") -> bytes:
    """The digest before the first block. Only requests with equal salts and adapters share blocks.
    adapters: their digest; empty without."""
    return hashlib.blake2b(salt.encode(), key=adapters, digest_size=32).digest()
