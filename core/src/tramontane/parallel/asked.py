"""Which of several processes this one is, and what they exchange numbers over."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tramontane.errors import UsageError
from tramontane.plugin import Interconnect

from .interconnect import Asked, choose, names
from .ranks import Ranks, ranks_of

if TYPE_CHECKING:
    from tramontane.checkpoint.load_options import LoadOptions
    from tramontane.registry import Registry

SHARED = "shm"
"""What ranks of one machine take, where it is installed."""


def asked_ranks(
    options: LoadOptions, registry: Registry, environment: Mapping[str, str]
) -> Ranks | None:
    """By the options, else by the environment, of which interconnects may know variables of their
    own. None: this process computes by itself. Raises UsageError, PluginError."""
    if options.tp_nodes is None and options.tp is None:
        found = _found(options.interconnect, registry, environment)
        if found is not None:
            return found if found.size > 1 else None
    ranks = ranks_of(options.tp, options.tp_nodes, environment)
    if ranks is None:
        return None
    if options.interconnect is not None:
        offer = choose(options.interconnect, registry).offer
        if ranks.address and not offer.machines:
            raise UsageError(
                f"--interconnect {options.interconnect}: is for the ranks of one machine"
            )
        ranks = replace(ranks, interconnect=options.interconnect)
    return ranks


def default(ranks: int, local: int, device: str, cards: bool, registry: Registry) -> str:
    """What `ranks`, of which `local` are on this machine, take if nothing was asked for. cards:
    whether each has its own."""
    if device.startswith("cuda") and cards:
        return "nccl"
    unix = hasattr(socket, "AF_UNIX")
    return SHARED if ranks == local and unix and SHARED in names(registry) else "gloo"


def _found(
    interconnect: str | None, registry: Registry, environment: Mapping[str, str]
) -> Ranks | None:
    """By what an interconnect knows itself."""
    if interconnect is not None:
        asked = [choose(interconnect, registry)]
    else:
        asked = [Asked(offer, offer.options) for offer in registry.all(Interconnect)]
    for each in asked:
        meeting = each.find(environment)
        if meeting is not None and meeting.size == 1:
            return None
        if meeting is not None:
            return Ranks(
                rank=meeting.rank, size=meeting.size, local=1, address=meeting.address,
                port=meeting.port, interconnect=interconnect or each.offer.name, meeting=meeting,
                weights=meeting.weights,
            )  # fmt: skip
    return None
