"""How what modules compute gets to the device of the next one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tramontane.engine.batch import Batch

from .part import Part


@dataclass(frozen=True)
class Spot:
    """A device as tensors know it. dtype: what it computes in, if others compute in another."""

    name: str
    device: torch.device
    dtype: torch.dtype | None
    part: Part


def moved(value: Any, to: Spot) -> Any:
    """Tensors at a spot, a batch as it is there, and lists and tuples of these."""
    if isinstance(value, Tensor):
        floats = to.dtype is not None and value.is_floating_point()
        return value.to(to.device, to.dtype if floats else value.dtype)
    if isinstance(value, Batch):
        return value.on(to.name)
    if type(value) in (list, tuple):
        return type(value)(moved(each, to) for each in value)
    if isinstance(value, dict):
        return {name: moved(each, to) for name, each in value.items()}
    return value


class Through:
    """A layer's forward on its device, with its result where the next one is."""

    def __init__(self, forward: Callable[..., Any], here: Spot, then: Spot) -> None:
        self.forward, self.here, self.then = forward, here, then

    def __call__(self, *args: Any, **more: Any) -> Any:
        args, more = moved(args, self.here), moved(more, self.here)
        with self.here.part.around():
            out = self.forward(*args, **more)
        return moved(out, self.then)


class Aside:
    """A module's forward on its device, with its result back where the first argument came from.

    home: where that is, for arguments that could be from anywhere, such as tokens' numbers.
    """

    def __init__(self, forward: Callable[..., Any], here: Spot, home: Spot) -> None:
        self.forward, self.here, self.home = forward, here, home

    def __call__(self, first: Tensor, *args: Any, **more: Any) -> Any:
        with self.here.part.around():
            out = self.forward(
                moved(first, self.here), *moved(args, self.here), **moved(more, self.here)
            )
        dtype = first.dtype if first.is_floating_point() else self.home.dtype or out.dtype
        return out.to(first.device, dtype if out.is_floating_point() else out.dtype)


class Elsewhere:
    """The kernel of attention over a cache that is on another device: queries go there."""

    def __init__(self, owner: Any, there: Spot) -> None:
        """owner: the module whose keys and values these are."""
        self.owner, self.there = owner, there

    def __call__(self, q: Tensor, cache: Any, batch: Batch, *args: Any, **more: Any) -> Tensor:
        with self.there.part.around():
            out: Tensor = self.owner.kernel(
                moved(q, self.there),
                cache,
                batch.on(self.there.name),
                *moved(args, self.there),
                **moved(more, self.there),
            )
        return out.to(q.device, q.dtype)
