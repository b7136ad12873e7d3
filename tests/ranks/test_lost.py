"""A rank that goes while nothing is computed: the group knows which, without being asked."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from tramontane.parallel.group import PeerLost
from tramontane.parallel.leader import Leader
from tramontane.parallel.team import Team


class Peers:
    """A group whose other ranks go after the first message."""

    def __init__(self, *, go: bool) -> None:
        self.told, self.go = 0, go

    def broadcast(self, message: bytes) -> None:
        self.told += 1
        if self.go and self.told > 1:
            raise PeerLost("rank 1 has ended")

    def close(self) -> None:
        pass


def leader(peers: Peers) -> Leader:
    model = SimpleNamespace(step=None, last_hidden=None)
    states = SimpleNamespace(count=0, mirrors=[])
    cache = SimpleNamespace(blocks=1, states=states, mirrors=[])
    return Leader(cast("Any", peers), cast("Any", model), cast("Any", cache), 0.04)


def team(leads: Leader | None) -> Team:
    found = object.__new__(Team)
    found._leader = leads
    return found


def test_a_rank_that_went_is_named_until_the_end() -> None:
    leads = leader(Peers(go=True))
    end = time.monotonic() + 20
    while not team(leads).lost:
        assert time.monotonic() < end
        time.sleep(0.005)
    leads.close()
    assert team(leads).lost == "rank 1 has ended; the model has to be loaded again"


def test_ranks_that_are_there_or_have_ended_as_told_are_not_lost() -> None:
    leads = leader(Peers(go=False))
    assert team(leads).lost == team(None).lost == ""
    leads.close()
    assert team(leads).lost == ""
