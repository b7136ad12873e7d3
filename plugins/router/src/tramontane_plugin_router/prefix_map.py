"""Which replica has computed which beginnings of prompts, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from .prefix_blocks import Chain

MOST_BLOCKS = 200_000
"""Blocks that are remembered; about 60 MB. The longest unused ones are forgotten first."""


class PrefixMap:
    """Keys of blocks (`prefix_blocks`) and the replicas that have them.

    An entry is a tree's node without links: a key stands for everything in front of it too. For one
    event loop.
    """

    def __init__(self, most: int = MOST_BLOCKS) -> None:
        self._most = most
        self._holders: OrderedDict[bytes, dict[Hashable, bool]] = OrderedDict()
        self._held: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def held(self, replica: Hashable) -> int:
        """Blocks that a replica is remembered to have."""
        return self._held.get(replica, 0)

    def matches(self, keys: Sequence[bytes]) -> tuple[dict[Hashable, int], dict[Hashable, int]]:
        """For each replica: how many of the first blocks it has, and up to how many of them it has
        answered a whole request, which this one continues."""
        found: dict[Hashable, int] = {}
        continued: dict[Hashable, int] = {}
        for depth, key in enumerate(keys, 1):
            holders = self._holders.get(key)
            if holders is None:
                break
            for replica, ends_here in holders.items():
                if found.get(replica, 0) == depth - 1:
                    found[replica] = depth
                    if ends_here:
                        continued[replica] = depth
        return found, continued

    def add(self, chain: Chain, replica: Hashable) -> None:
        """A replica was given a request."""
        for key in reversed(chain.keys):  # what is at the end is forgotten first
            holders = self._holders.get(key)
            if holders is None:
                holders = self._holders[key] = {}
            else:
                self._holders.move_to_end(key)
            if replica not in holders:
                holders[replica] = False
                self._held[replica] = self._held.get(replica, 0) + 1
        if chain.ends:
            self._holders[chain.keys[-1]][replica] = True
        while len(self._holders) > self._most:
            _, gone = self._holders.popitem(last=False)
            for other in gone:
                self._held[other] -= 1

    def forget(self, replica: Hashable) -> None:
        """A replica has lost its cache."""
        if not self._held.pop(replica, 0):
            return
        for key in [key for key, holders in self._holders.items() if replica in holders]:
            holders = self._holders[key]
            del holders[replica]
            if not holders:
                del self._holders[key]
