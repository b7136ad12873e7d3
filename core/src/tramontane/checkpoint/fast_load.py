"""Fast loading: a backend repacks matrices directly from a file's blocks, many in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tramontane.backend import Device
from tramontane.block_format import Plain, Stored
from tramontane.layouts import Layout
from tramontane.plugin import Backend, load

from .checkpoint import Checkpoint, ReadsStored
from .rules import Deinterleave, Rename, Rule, Split

if TYPE_CHECKING:
    import torch

    from tramontane.blocks import CausalLM
    from tramontane.placement.part import Part

    from .load_options import LoadOptions

MOVE_ROWS = (Rename, Deinterleave, Split)
"""Rules that only select and reorder rows, so that they apply to `Stored` matrices."""
Foreseen: TypeAlias = Callable[["CausalLM | Part", Mapping[str, Stored]], None]
AT_ONCE = 512 << 20
"""Bytes of a file that are passed to a backend per call, which is also the progress interval."""


@dataclass(frozen=True)
class Place:
    """A backend's functions for matrices while they are loaded. converts: whether dense weights are
    converted to another dtype, which backends do not support."""

    pack: Callable[[Layout], Layout] | None = None
    translate: Callable[[Sequence[Stored]], Sequence[Layout | None]] | None = None
    foresee: Foreseen | None = None
    converts: bool = False
    device: str = "cpu"
    """As torch names it."""
    dtype: torch.dtype | None = None
    """What the device computes in; None: as the whole model."""
    part: Part | None = None
    """Which part of a model this is about, where it is not all of it."""

    def there(self, layout: Layout) -> Layout:
        """A layout on the device, of whatever kind a format made."""
        if self.device == "cpu":
            return layout
        return layout.map(lambda tensor: tensor.to(self.device))

    @property
    def reads(self) -> bool:
        """Whether the backend reads matrices from the file itself."""
        return self.translate is not None and hasattr(os, "pread")  # which its threads need

    def stored(self, checkpoint: Checkpoint, tensor: str, rules: Sequence[Rule]) -> Stored | None:
        """A tensor that is not read yet, if the backend and the rules support that."""
        if not (self.reads or self.foresee) or not isinstance(checkpoint, ReadsStored):
            return None
        if not all(isinstance(rule, MOVE_ROWS) for rule in rules):
            return None
        stored = checkpoint.stored(tensor)
        if stored is None or (self.converts and isinstance(stored.recipe, Plain)):
            return None
        return stored

    def translated(self, unread: Mapping[str, Stored]) -> Iterator[tuple[str, Layout, bool]]:
        """Yield slot path, layout, and whether the backend has repacked it. Raises
        CheckpointError."""
        waiting: dict[str, Stored] = {}
        size = 0
        for index, (path, stored) in enumerate(unread.items(), 1):
            waiting[path] = stored
            size += stored.shape[0] * stored.row_bytes
            if size >= AT_ONCE or index == len(unread):
                yield from self._now(waiting)
                waiting, size = {}, 0

    def _now(self, waiting: Mapping[str, Stored]) -> Iterator[tuple[str, Layout, bool]]:
        assert self.translate is not None
        layouts = self.translate(list(waiting.values()))
        for (path, stored), layout in zip(waiting.items(), layouts, strict=True):
            yield path, stored.translated() if layout is None else layout, layout is not None


def place_of(
    backend: Backend | None, device: Device, options: LoadOptions, kv_dtype: torch.dtype
) -> Place:
    """Load a backend's optional targets for matrices. kv_dtype: of keys and values."""
    if backend is None:
        return Place(device=device.torch_device)
    common = {"device": device, "threads": options.threads}
    pack, translate = (
        None if target is None else partial(load(target), **common)
        for target in (backend.pack, backend.translate)
    )
    foresee: Foreseen | None = None
    if backend.foresee is not None:
        precision = {"activations": options.activations, "kv_dtype": kv_dtype}
        foresee = partial(load(backend.foresee), **common, **precision)
    converts = options.dtype != "auto"
    return Place(pack, translate, foresee, converts, device.torch_device)
