"""Which replica a request goes to: where its beginning is cached, unless that one is busy."""

from __future__ import annotations

from collections.abc import Collection

from .prefix_blocks import Chain
from .prefix_map import PrefixMap
from .replica import Replica, Replicas

BALANCE = 16
"""A block that is cached counts as much as so many that a replica has cached beyond the others."""


class Choice:
    """The rule. busy: requests at a replica from which on another conversation waits there."""

    def __init__(self, replicas: Replicas, prefixes: PrefixMap, busy: int) -> None:
        self._replicas, self._prefixes, self.busy = replicas, prefixes, busy

    def pick(self, chain: Chain, without: Collection[Replica] = ()) -> tuple[Replica, int] | None:
        """A replica, and how many blocks of the request it has to compute; None: there is none.

        Where a conversation goes on, its replica has it; that one is left when it is busy while
        another has half as much to do. A request that begins one goes where the blocks that are not
        cached, the work that is waiting and a share of what is cached beyond the other replicas
        are the least together.
        """
        able = [one for one in self._replicas.within("ready") if one not in without]
        if not able:  # one that loads, or has much to do, answers later
            states = self._replicas.within("waiting", "new", "silent")
            able = [one for one in states if one not in without]
        if not able:
            return None
        found, continued = self._prefixes.matches(chain.keys)
        size = len(chain.keys)
        least = min(one.running for one in able)
        known = [one for one in able if one in continued]
        if known:
            best = max(known, key=lambda one: (continued[one], -one.running))
            if best.running < self.busy or least * 2 > best.running:
                return best, size - found[best]
        free = [one for one in able if one.running < self.busy or one.running <= least * 2]
        fewest = min(self._prefixes.held(one) for one in free)

        def cost(one: Replica) -> tuple[float, int]:
            beyond = (self._prefixes.held(one) - fewest) / BALANCE
            return size - found.get(one, 0) + one.work + beyond, one.given

        best = min(free, key=cost)
        return best, size - found.get(best, 0)
