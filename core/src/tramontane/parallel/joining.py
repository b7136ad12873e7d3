"""A rank's share of a model, from its checkpoint to the group."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from tramontane.errors import ConfigError
from tramontane.registry import Registry
from tramontane.version import __version__

from .asked import default
from .follower import follow
from .group import Group
from .interconnect import choose
from .late_group import LateGroup
from .meeting import Meeting
from .spec import Spec

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded


@dataclass
class JoinedShare:
    """A share that is loaded, and the group that it is for."""

    spec: Spec
    group: LateGroup
    loaded: Loaded

    def follow(self) -> None:
        """Meet the others, and compute with them until rank 0 ends. Raises PeerLost, ConfigError
        where they have another model."""
        self.group.meet(connect(self.spec, self.loaded.device.torch_device))
        agree(self.group, self.loaded)
        follow(self.group, self.loaded)
        self.group.close()


def load_share(spec: Spec) -> JoinedShare:
    """Raises as `load_model`."""
    from tramontane.checkpoint.load import load_model
    from tramontane.model.encoder_file import open_with_encoder

    registry = Registry.from_environment()
    group = LateGroup(spec.rank, spec.size, spec.weights)
    given = (spec.path, spec.name, spec.options.mmproj, registry, spec.hub)
    checkpoint = open_with_encoder(*given)
    try:
        loaded = load_model(checkpoint, registry, spec.options, group=group)
    finally:
        checkpoint.close()
    return JoinedShare(spec, group, loaded)


def connect(spec: Spec, device: str) -> Group:
    """The group, once all ranks are there. Raises PeerLost, UsageError, PluginError."""
    registry = Registry.from_environment()
    cards = own_card(spec)
    name = spec.interconnect or default(spec.size, spec.local, device, cards, registry)
    asked = choose(name, registry)
    there = device if cards and device.partition(":")[0] in asked.offer.devices else "cpu"
    meeting = spec.meeting or Meeting(
        rank=spec.rank,
        size=spec.size,
        address=spec.address or "127.0.0.1",
        port=spec.port,
        folder=None if spec.file is None else spec.file.parent,
        weights=spec.weights,
        secret=spec.secret,
    )
    return asked.join(replace(meeting, device=there, time_limit=spec.options.tp_timeout))


def own_card(spec: Spec) -> bool:
    """Whether each rank of this machine has a card of its own, as NCCL wants it."""
    import torch

    return torch.cuda.device_count() >= spec.local


def agree(group: Group, loaded: Loaded) -> Loaded:
    """Make sure that all ranks have the same model. Returns it with the context that all have room
    for. Raises ConfigError, PeerLost."""
    mine = {"context": loaded.context_length, "model": digest(loaded)}
    told = []
    for rank in range(group.size):
        data = json.dumps(mine).encode() if rank == group.rank else None
        told.append(json.loads(group.broadcast(data, rank)))
    for rank, each in enumerate(told):
        if each["model"] != told[0]["model"]:
            raise ConfigError(
                f"rank {rank} of {group.size} has another model than rank 0, other options or "
                "another version of Tramontane: begin all with the same"
            )
    return replace(loaded, context_length=min(int(each["context"]) for each in told))


def digest(loaded: Loaded) -> str:
    """Of what must be equal on all ranks."""
    told = (
        __version__, loaded.report.architecture, repr(loaded.config), str(loaded.dtype),
        str(loaded.kv_dtype), loaded.sample.tolist(),
    )  # fmt: skip
    return sha256(repr(told).encode()).hexdigest()
