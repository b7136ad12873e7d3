"""What a rank that another process begins is told: from parent to child, by a pipe of their own."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tramontane.checkpoint.load_options import LoadOptions
from tramontane.hub.options import HubOptions

from .meeting import Meeting

LOADED, FAILED = "loaded", "failed"
"""What the child says, as the first word of a line; FAILED is followed by why."""
MEET = "meet"
"""What the parent says once all have loaded."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """path, name: of the model, found and as the user called it. file: where ranks of one machine
    meet; None: at address and port. local: ranks of this machine."""

    rank: int
    size: int
    local: int
    path: Path
    name: str
    options: LoadOptions
    hub: HubOptions
    address: str
    port: int
    file: Path | None
    interconnect: str | None = None
    meeting: Meeting | None = None
    weights: tuple[float, ...] = ()
    secret: bytes = field(default=b"", repr=False)
    """What the ranks of one machine know, made for this start."""

    def write(self, pipe: BinaryIO) -> None:
        data = pickle.dumps(self)
        pipe.write(len(data).to_bytes(8, "little") + data)
        pipe.flush()

    @classmethod
    def read(cls, pipe: BinaryIO) -> Spec:
        """Of the process that began this one, which is believed."""
        length = int.from_bytes(pipe.read(8), "little")
        found = pickle.loads(pipe.read(length))
        assert isinstance(found, cls)
        return found
