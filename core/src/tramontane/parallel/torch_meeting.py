"""The interconnects that torch.distributed brings: gloo and nccl."""

from __future__ import annotations

from .group import Group
from .meeting import Meeting
from .torch_group import TorchGroup


def join(meeting: Meeting) -> Group:
    """Of a meeting's device: Gloo for the CPU, NCCL for cards. Raises PeerLost."""
    return TorchGroup(
        meeting.rank,
        meeting.size,
        file=None if meeting.folder is None else meeting.folder / "meeting",
        address=meeting.address,
        port=meeting.port,
        device=meeting.device,
        time_limit=meeting.time_limit,
        weights=meeting.weights,
    )
