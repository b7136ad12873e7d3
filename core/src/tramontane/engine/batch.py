"""The tokens of one forward pass, of any number of sequences, concatenated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .cache_view import CacheView
    from .kv_cache import KVCache


class Rotation(Protocol):
    """A rotary embedding, as far as a batch uses it; see `tramontane.blocks.Rope`."""

    @property
    def settings(self) -> tuple[object, ...]:
        """Rotations with equal settings have equal angles."""

    def angles(self, positions: Tensor, extents: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin, (tokens, 1, dim / 2) float32, of positions (tokens)."""


@dataclass(slots=True)
class Span:
    """One sequence's tokens in a batch: rows start..start+count, the last of `length` tokens."""

    start: int
    count: int
    length: int
    blocks: Sequence[int]
    """The cache blocks that hold the sequence's first `length` tokens, in order."""
    slot: int = 0
    """The slot of its states, in models that keep any."""
    mutual: Sequence[tuple[int, int]] = ()
    """Tokens of the sequence, (start, end), that see each other, in order, where any of these rows
    are among them; the sequence has them all."""

    ahead: int | None = None
    """How many later tokens each row sees, of an encoder's window; None: `mutual` says."""

    @property
    def first(self) -> bool:
        """Whether the sequence begins here: its states are zeros before."""
        return self.count == self.length


@dataclass(frozen=True, eq=False)
class MediaInput:
    """Rows of a batch that are no token's embedding but a row of encoded media; maybe none, of text
    between those of an item."""

    index: list[int]
    rows: Tensor | None
    """None: there are none; else (len(index), hidden * (1 + levels)): what stands for the
    embedding, then what is added behind each of the model's first layers, of which most encoders
    give nothing."""

    def put(self, x: Tensor) -> Tensor:
        """x: (tokens, hidden) embeddings -> the same with these rows in their places."""
        if self.rows is None:
            return x
        return x.index_copy(0, self._places(x), self.rows[:, : x.shape[1]].to(x))

    def add(self, x: Tensor, layer: int) -> Tensor:
        """x: (tokens, hidden), behind a layer -> with what the encoder adds to its rows there."""
        if self.rows is None:
            return x
        width = x.shape[1]
        more = self.rows[:, width * (layer + 1) : width * (layer + 2)]
        if not more.shape[1]:
            return x
        places = self._places(x)
        return x.index_copy(0, places, x[places] + more.to(x))

    def _places(self, x: Tensor) -> Tensor:
        return torch.tensor(self.index, dtype=torch.int64, device=x.device)


class CrossInput(Protocol):
    """What the rows of a batch cross-attend to."""

    def attend(self, kernel: Callable[..., Tensor], q: Tensor, index: int, scale: float) -> Tensor:
        """q: (tokens, heads, d_head) -> (tokens, heads, d_head), in layer `index`."""


class Numbers(NamedTuple):
    """A batch's tensors as lists of integers: for backends whose steps use no torch tensors."""

    positions: list[int]
    extents: list[int]
    slots: list[int]
    wanted: list[int]


class Batch:
    """The inputs of a model's step other than the token ids.

    Every tensor is on the cache's device, and created when it is first accessed.
    """

    media: MediaInput | None = None
    adapted: bool = False
    """Whether the model has adapters during this step: no recording of it holds."""
    replaced: Any = None
    """A `Changes` that only puts linear layers in the places of others during this step: a
    recording holds in which these take their places."""
    cross: CrossInput | None = None
    """What its rows cross-attend to: all of them, or, if None, none."""
    adapters: Sequence[tuple[int, int, Any]] = ()
    """First row, rows, and their adapters, an `Applied`, in models that mix adapters; the others
    have none."""
    _sections: tuple[tuple[Span, npt.NDArray[np.int64]], ...] = ()
    _whole: Batch | None = None

    def __init__(self, spans: Sequence[Span], numbers: Numbers, cache: KVCache | CacheView) -> None:
        self.spans, self.numbers = spans, numbers
        self.cache: Any = cache
        self._angles: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}
        self._views: dict[str, Batch] = {}

    @classmethod
    def of(
        cls,
        pieces: Sequence[tuple[int, int, int, Sequence[int], Sequence[int]]],
        cache: KVCache,
        slots: Sequence[int] | None = None,
    ) -> Batch:
        """From (first position, count, extent, blocks, wanted offsets) of each sequence.

        slots: of their states; None: as many as there are sequences, in their order.
        """
        spans: list[Span] = []
        positions: list[int] = []
        extents: list[int] = []
        kv_slots: list[int] = []
        wanted: list[int] = []
        start, size = 0, cache.block_size
        for index, (first, count, extent, blocks, offsets) in enumerate(pieces):
            slot = index if slots is None else slots[index]
            spans.append(Span(start, count, first + count, blocks, slot))
            for position in range(first, first + count):
                positions.append(position)
                extents.append(max(extent, position + 1))
                kv_slots.append(blocks[position // size] * size + position % size)
            for offset in offsets:
                wanted.append(start + offset)
            start += count
        return cls(spans, Numbers(positions, extents, kv_slots, wanted), cache)

    def on(self, name: str) -> Batch:
        """The same as it is on one of a model's devices: with its tensors and caches. To be called
        when nothing of the batch changes any more."""
        whole = self._whole or self
        if name not in whole._views:
            view = Batch(whole.spans, whole.numbers, whole.cache.on(name))
            view._whole, view._sections = whole, whole._sections
            view.media, view.cross = whole.media, whole.cross
            view.adapters, view.adapted = whole.adapters, whole.adapted
            whole._views[name] = view
        return whole._views[name]

    @property
    def positions(self) -> Tensor:
        """(tokens) int64."""
        return self._tensors[0]

    @property
    def extents(self) -> Tensor:
        """(tokens) int64: context length when the token was first seen (prompt length, or
        itself)."""
        return self._tensors[1]

    @property
    def slots(self) -> Tensor:
        """(tokens) int64: cache slot of each token's key and value, block * block_size + offset."""
        return self._tensors[2]

    @property
    def wanted(self) -> Tensor:
        """(rows) int64: indices of the tokens whose logits are requested."""
        return self._tensors[3]

    def place(self, span: Span, sections: npt.NDArray[np.int64]) -> None:
        """Give a span's tokens positions in several sections, (sections, count). To be called
        before any tensor is asked for."""
        self._sections = (*self._sections, (span, sections))
        self.numbers.positions[span.start : span.start + span.count] = sections[0].tolist()

    @property
    def placed(self) -> bool:
        """Whether any of its tokens were given positions in sections."""
        return bool(self._sections)

    def sections(self, count: int) -> Tensor:
        """(count, tokens) int64: positions in each of a rotary embedding's sections."""
        found = self.positions.expand(count, -1).clone()
        for span, sections in self._sections:
            placed = torch.from_numpy(np.ascontiguousarray(sections)).to(found.device)
            found[:, span.start : span.start + span.count] = placed
        return found

    @cached_property
    def _tensors(self) -> Sequence[Tensor]:
        # one tensor: four small ones cost a small model's step a percent
        joined = torch.tensor([n for each in self.numbers for n in each], dtype=torch.int64)
        sizes = [len(each) for each in self.numbers]
        return tuple(joined.to(self.cache.device).split(sizes))

    @property
    def mutual(self) -> bool:
        """Whether any of its tokens see later ones."""
        return any(span.mutual for span in self.spans)

    def angles(self, rope: Rotation) -> tuple[Tensor, Tensor]:
        """A rotation's cos and sin for these positions, computed once for all layers."""
        if rope.settings not in self._angles:
            count = len(getattr(rope, "sections", ()))
            positions = self.sections(count) if count and self._sections else self.positions
            self._angles[rope.settings] = rope.angles(positions, self.extents)
        return self._angles[rope.settings]
