"""What a writer of quantized models is given: a checkpoint's tensors, and their kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tramontane.checkpoint.checkpoint import Checkpoint, Header
from tramontane.layouts import Dense, Layout

from .kinds import Kind

if TYPE_CHECKING:
    from tramontane.checkpoint.build import Built
    from tramontane.registry import Registry

    from .partial import Partial


@dataclass(frozen=True)
class QuantizeSource:
    """A model that is to be written quantized.

    checkpoint: opened; its quantized layers read as one matrix each, PATH.weight.
    folder: where config.json and the tokenizer's files are; None for a container.
    kinds: what the tensors become that are to be quantized, by their names in the checkpoint.
    importance: mean squares of the columns of tensors, by the same names, as
      `LoadOptions.importance` has them; only of those that were measured.
    measured: the same by the paths of the model's matrices, as they were measured.
    built: the model without weights, and the tensors of each of its places; None where a writer
      is given a checkpoint alone. registry: what is installed.
    partial: what an earlier run has left at the path that is written to, for writers that can go
      on; None: begin anew.
    """

    checkpoint: Checkpoint
    folder: Path | None
    kinds: Mapping[str, Kind]
    importance: Mapping[str, Tensor] = field(default_factory=dict)
    measured: Mapping[str, Tensor] = field(default_factory=dict)
    built: Built | None = None
    registry: Registry | None = None
    partial: Partial | None = None

    @property
    def header(self) -> Header:
        """Architecture, dialect of names, shapes and types of all tensors."""
        return self.checkpoint.header

    @property
    def config(self) -> Mapping[str, Any]:
        """The model's configuration with config.json's keys."""
        return self.checkpoint.header.config

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, of which progress is told."""
        return sum(info.nbytes for info in self.header.tensors.values())

    def read(self, name: str) -> Tensor:
        """One tensor of any shape, in float32. Raises CheckpointError."""
        return self.checkpoint.read(name).decode(torch.float32)

    def tensors(
        self, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Every tensor in float32, one at a time, in the order of the header. progress: (bytes
        done, bytes in all)."""
        done = 0
        for name, info in self.header.tensors.items():
            yield name, self.read(name)
            done += info.nbytes
            if progress is not None:
                progress(done, self.nbytes)

    def stored(self, name: str, dtype: torch.dtype) -> Tensor:
        """One tensor as it is stored; decoded to a dtype if that is packed."""
        layout: Layout = self.checkpoint.read(name)
        if isinstance(layout, Dense) and layout.data.is_floating_point():
            return layout.data
        return layout.decode(dtype)
