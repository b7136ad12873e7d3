"""Matrices on the shortest way: from a file's blocks to a backend's own order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from tramontane.backend import Device
from tramontane.layouts import Layout
from tramontane.plugin import Backend, load
from tramontane.stored import Plain, Stored

from .checkpoint import Checkpoint, ReadsStored


@dataclass(frozen=True)
class Place:
    """What a backend does with matrices as they are read. sample_of: the slot of whose matrix some
    rows are kept as they were in the file."""

    pack: Callable[[Layout], Layout] | None = None
    translate: Callable[[Stored], Layout | None] | None = None
    sample_of: str = ""
    converts: bool = False
    """Whether plain numbers are to become others, which no backend does."""
    done: set[str] = field(default_factory=set)
    """Slots whose layouts are the backend's already."""
    samples: list[Tensor] = field(default_factory=list)

    def take(self, checkpoint: Checkpoint, tensor: str) -> Layout | Stored:
        """A tensor, unread if that serves. Raises CheckpointError."""
        if self.translate is not None and isinstance(checkpoint, ReadsStored):
            stored = checkpoint.stored(tensor)
            if stored is not None and not (self.converts and isinstance(stored.recipe, Plain)):
                return stored
        return checkpoint.read(tensor)

    def finish(self, path: str, layout: Layout | Stored) -> Layout:
        """What `take` gave, rules applied, as a layout. Raises CheckpointError."""
        if not isinstance(layout, Stored):
            return layout
        assert self.translate is not None
        if path == self.sample_of:
            self.samples.append(layout.rows(slice(0, 8)).decode(torch.float32))
        made = self.translate(layout)
        if made is None:
            return layout.translated()
        self.done.add(path)
        return made


def place_of(
    backend: Backend | None, device: Device, threads: int | None, *, sample_of: str, converts: bool
) -> Place:
    """A backend's two targets for matrices, those that it has."""
    if backend is None:
        return Place()
    pack, translate = (
        None if target is None else partial(load(target), device=device, threads=threads)
        for target in (backend.pack, backend.translate)
    )
    return Place(pack, translate, sample_of, converts)
