"""Adapters that a request's prompt decides: the prompt is computed once by the model alone, an
adapter watches that, and then says what the answer is computed with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import Tensor, nn

from tramontane.blocks import Linear
from tramontane.layouts import Layout
from tramontane.layouts.low_rank import LowRank

from .kernels import Multiply

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch

    from .adapter import Applied

Bind = Callable[[Layout], tuple[Layout, Multiply]]
"""A matrix as a backend's kernels want it, and the kernel."""


class Asked(Protocol):
    """What a prompt adapter sees of a request."""

    @property
    def prompt(self) -> tuple[int, ...]: ...
    @property
    def media(self) -> object | None: ...


class Part(NamedTuple):
    """A pair of narrow matrices of one adapter in a mixture; layer, adapter: whose share counts."""

    matrix: LowRank
    layer: int
    adapter: int


class Changes(ABC):
    """What a model is changed by during steps: in the place of an `Applied`."""

    names: tuple[str, ...] = ()
    digest: bytes = b""
    """What is computed with it is known by this."""
    pairs: Mapping[str, Any] | None = None
    """As of `Applied`."""
    mixed: Mapping[str, Sequence[Part]] | None = None
    """What is added to products of linear layers, by their paths, each with a row's share of it,
    where that is all: see `Batch.shares`."""
    width: int = 0
    """Adapters of which rows have shares, in each layer."""
    replaced: Mapping[str, Linear] | None = None
    """Layers that take the places of the model's, by their paths, where that is all."""

    @abstractmethod
    def on(self, batch: Batch) -> AbstractContextManager[None]:
        """The model is changed meanwhile."""


@dataclass(frozen=True)
class Decided:
    """changes: what a prompt's answer is computed with; None: the model alone."""

    changes: Applied | Changes | None


class Watch(Changes):
    """Sees one prompt being computed, from its first token on, maybe not at once, and parts of it
    maybe again."""

    @abstractmethod
    def decided(self) -> Decided:
        """What the answer is computed with, once the whole prompt is."""


class PromptAdapter(ABC):
    """Loaded adapters of which each prompt decides what they do. Requests with it have no others
    besides. name, source, digest, nbytes: as of `Adapter`."""

    name: str
    source: str
    digest: bytes
    nbytes: int

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @abstractmethod
    def known(self, request: Asked) -> Decided | None:
        """What the answer is computed with, where that is known without computing the prompt."""

    @abstractmethod
    def watch(self, request: Asked) -> Watch:
        """What sees the prompt being computed."""


class Replaced(Changes):
    """Linear layers in the places of the model's.

    Their weights are those that a backend has bound, see `Host.bind`.
    """

    def __init__(
        self, model: nn.Module, layers: Mapping[str, Linear], digest: bytes, names: tuple[str, ...]
    ) -> None:
        self.replaced, self.digest, self.names = layers, digest, names
        self._pairs = [(model.get_submodule(path), layer) for path, layer in layers.items()]

    @contextmanager
    def on(self, batch: Batch) -> Iterator[None]:
        before = [(own, own.weight, own.bias, own.kernel) for own, _ in self._pairs]
        try:
            for own, layer in self._pairs:
                own.weight, own.bias, own.kernel = layer.weight, layer.bias, layer.kernel  # type: ignore[assignment]
            yield
        finally:
            for own, weight, bias, kernel in before:
                own.weight, own.bias, own.kernel = weight, bias, kernel


def plain_bind(weight: Layout) -> tuple[Layout, Callable[[Tensor, Any], Tensor]]:
    """`Bind` without a backend."""
    from tramontane import reference

    return weight, reference.linear
