"""Interconnects by name, and how a group is joined over one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from tramontane.errors import UsageError
from tramontane.plugin import Interconnect, load

from .group import Group
from .meeting import Meeting

if TYPE_CHECKING:
    from tramontane.registry import Registry

OURS = {
    "gloo": Interconnect(
        name="gloo", join="tramontane.parallel.torch_meeting:join", devices=("cpu",), machines=True
    ),
    "nccl": Interconnect(
        name="nccl", join="tramontane.parallel.torch_meeting:join", devices=("cuda",), machines=True
    ),
}
"""What needs no plugin: torch.distributed."""


@dataclass(frozen=True)
class Asked:
    """An interconnect as it was asked for, with all its options."""

    offer: Interconnect
    options: Mapping[str, str]

    def find(self, environment: Mapping[str, str]) -> Meeting | None:
        """What the interconnect itself knows of the ranks, such as by a file of its own; None:
        nothing. Raises UsageError."""
        if self.offer.find is None:
            return None
        found = cast("Meeting | None", load(self.offer.find)(environment, dict(self.options)))
        return None if found is None else replace(found, options={**self.options, **found.options})

    def join(self, meeting: Meeting) -> Group:
        """The group, once all ranks are there. Raises PeerLost, UsageError."""
        kind = meeting.device.partition(":")[0]
        if kind not in self.offer.devices:
            raise UsageError(
                f"interconnect {self.offer.name!r}: this rank's device is {meeting.device!r}; it "
                f"takes numbers of {', '.join(self.offer.devices)}"
            )
        told = replace(meeting, options={**self.options, **meeting.options})
        return cast("Group", load(self.offer.join)(told))


def names(registry: Registry) -> list[str]:
    """What `--interconnect` takes."""
    return sorted({*OURS, *registry.names("interconnects")})


def choose(text: str, registry: Registry) -> Asked:
    """From `name` or `name:option=value:...`. Raises UsageError, PluginError."""
    name, *parts = text.split(":")
    offer = OURS.get(name) or registry.get(Interconnect, name)
    options = dict(offer.options)
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals or option not in options:
            known = ", ".join(f"{key}={default}" for key, default in options.items()) or "none"
            raise UsageError(
                f"interconnect {text!r}: {part!r} is no option=value of {name}; it has: {known}"
            )
        options[option] = value
    return Asked(offer, options)
