"""Seeing what the feed-forward halves of a model are given while a prompt is computed.

A half's up_proj is its kernel and what that multiplies; for a step, another stands there that looks
at what is multiplied, and then does what the kernel does.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tramontane.adapters.prompted import Decided, Watch

from .halves import Half

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch


class HalvesWatch(Watch):
    """Sees one prompt; `saw` is told what each half is given."""

    def __init__(self, model: nn.Module, halves: Sequence[Half], tokens: int) -> None:
        self.digest = uuid.uuid4().bytes  # so that its steps have no other rows
        self.tokens = tokens
        self._reads: list[Any] = [model.get_submodule(half.reads[-1]) for half in halves]

    @abstractmethod
    def saw(self, place: int, x: Tensor, first: int) -> None:
        """place: which half, counted. x: (rows, hidden), of the prompt's tokens from `first`."""

    @contextmanager
    def on(self, batch: Batch) -> Iterator[None]:
        (span,) = batch.spans
        first = span.length - span.count
        before = [module.kernel for module in self._reads]
        try:
            for place, (module, kernel) in enumerate(zip(self._reads, before, strict=True)):
                module.kernel = self._seeing(place, kernel, first)
            yield
        finally:
            for module, kernel in zip(self._reads, before, strict=True):
                module.kernel = kernel

    def _seeing(self, place: int, kernel: Callable[..., Tensor], first: int) -> Any:
        def seeing(x: Tensor, weight: Any) -> Tensor:
            self.saw(place, x, first)
            return kernel(x, weight)

        return seeing


class Inputs(HalvesWatch):
    """Keeps what the halves are given: `kept`, (layers, tokens, hidden) float32."""

    def __init__(self, model: nn.Module, halves: Sequence[Half], tokens: int) -> None:
        super().__init__(model, halves, tokens)
        self.kept = torch.zeros(len(halves), tokens, halves[0].hidden)

    def saw(self, place: int, x: Tensor, first: int) -> None:
        self.kept[place, first : first + len(x)] = x.detach().float().cpu()

    def decided(self) -> Decided:
        return Decided(None)
