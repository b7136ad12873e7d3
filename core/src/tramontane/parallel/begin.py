"""The ranks of a model that is opened, if it is for several: begun, met and ended."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.checkpoint.load_options import LoadOptions
from tramontane.errors import ConfigError
from tramontane.hub.options import HubOptions

from .asked import asked_ranks

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded
    from tramontane.registry import Registry

    from .team import Team


def begun(
    options: LoadOptions,
    registry: Registry,
    path: Path,
    name: str,
    hub: HubOptions,
    *,
    head: bool,
) -> Team | None:
    """The ranks that options or the environment ask for; None: this process is alone. head: whether
    the model drafts with layers of its own. Raises UsageError, PluginError, ConfigError."""
    ranks = asked_ranks(options, registry, os.environ)
    if ranks is None:
        return None
    if head:
        raise ConfigError("--draft with the model's own head is for one process; leave --tp")
    from .team import Team  # and all that only several processes need

    return Team(ranks, path, name, options, hub)


def joined(team: Team | None, loaded: Loaded) -> Loaded:
    """Meet the others. Returns on rank 0 only: another one follows it, and then ends its process.
    Raises as `Team.meet`, and PeerLost."""
    if team is None:
        return loaded
    loaded = replace(team.meet(loaded), team=team)
    if team.ranks.rank:
        team.follow(loaded)
    return loaded


def close_team(team: Team | None) -> None:
    """End the other ranks, if there are any."""
    if team is not None:
        team.close()
