"""Keys and values of items that layers cross-attend to: made once of an encoder's rows,
held while a sequence sees them, and kept as long as they fit.

They lie as in the cache of tokens, in blocks of their own, so that the kernels of attention read
them: a row that sees an item attends as the last token of a sequence does that has so many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tramontane.blocks.cross import cross_layers
from tramontane.media.item import MediaItem, Sight

from .batch import Batch, Numbers, Span
from .kv_cache import BLOCK_SIZE, LayerCache, cache_class, token_bytes
from .sliding_window import Pages
from .state_cache import StateCache

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded
    from tramontane.placement.placed import Placed

    from .media_rows import MediaRows
    from .sequence import Sequence as Running

Shapes = Mapping[int, tuple[int, int]]
"""(kv_heads, d_head) of the layers that cross-attend, by their index."""


class CrossKeys:
    """Keys and values of the items of a sight, in every layer that cross-attends; to kernels it is
    the cache."""

    block_size = BLOCK_SIZE
    windows: Sequence[Pages] = ()
    states: StateCache | tuple[()] = ()

    def __init__(
        self,
        sight: Sight,
        shapes: Shapes,
        dtype: torch.dtype,
        device: torch.device,
        placed: Placed | None = None,
    ) -> None:
        self.key, self.device = sight.key, device
        self.blocks, self.nbytes = sizes(sight, shapes, dtype)
        self._spots = {} if placed is None else placed.layers()
        kind = cache_class(dtype)
        self.layers: dict[int, LayerCache] = {
            index: kind(
                self.blocks, heads, width, width,
                {"dtype": dtype, "device": self._spots[index].device if placed else device},
            )
            for index, (heads, width) in shapes.items()
        }  # fmt: skip
        self.missing: dict[bytes, tuple[MediaItem, list[int]]] = {}
        """Items whose rows are not here yet, and where they begin."""
        first = 0
        for item in sight.items:
            self.missing.setdefault(item.digest, (item, []))[1].append(first)
            first += item.cross

    def where(self, index: int) -> str | None:
        """The device of a layer, where they are on several."""
        return self._spots[index].name if self._spots else None

    def on(self, name: str) -> CrossKeys:
        """The same as one of several devices sees it."""
        view = copy(self)
        view.device = next(each.device for each in self._spots.values() if each.name == name)
        view.layers = {i: each for i, each in self.layers.items() if self.where(i) == name}
        return view

    def fill(self, item: MediaItem, rows: Tensor) -> None:
        """rows: (item.cross, numbers) of each layer the keys, then the values."""
        for first in self.missing.pop(item.digest)[1]:
            start = 0
            for layer in self.layers.values():
                slots = torch.arange(first, first + len(rows), device=layer.device)
                per_head = (layer.kv_heads, layer.d_key)
                width = layer.kv_heads * layer.d_key
                here = rows[:, start : start + 2 * width].to(layer.device)
                keys, values = here.split(width, -1)
                layer.store(slots, keys.unflatten(-1, per_head), values.unflatten(-1, per_head))
                start += 2 * width


def sizes(sight: Sight, shapes: Shapes, dtype: torch.dtype) -> tuple[int, int]:
    """Blocks of a sight's keys and values, and bytes."""
    blocks = -(-sum(item.cross for item in sight.items) // BLOCK_SIZE)
    each = sum(token_bytes(heads, width, width, dtype) for heads, width in shapes.values())
    return blocks, blocks * BLOCK_SIZE * each


class Crossing:
    """What the rows of a batch cross-attend to."""

    def __init__(self, parts: Iterable[tuple[int, CrossKeys, int]]) -> None:
        """parts: of each span how many rows it has, what they see, and the first rows of it that
        they do."""
        self._parts: list[tuple[CrossKeys, Batch]] = []
        self._counts: list[int] = []
        for count, keys, rows in parts:
            blocks = range(-(-rows // BLOCK_SIZE))
            spans = [Span(row, 1, rows, blocks) for row in range(count)]
            last = [rows - 1] * count
            cache: Any = keys
            self._parts.append((keys, Batch(spans, Numbers(last, last, [0] * count, []), cache)))
            self._counts.append(count)

    def attend(self, kernel: Callable[..., Tensor], q: Tensor, index: int, scale: float) -> Tensor:
        """q: (tokens, heads, d_head) -> (tokens, heads, d_head), in layer `index`."""
        parts = zip(q.split(self._counts), self._parts, strict=True)
        found = []
        for part, (of, batch) in parts:
            at = of.where(index)
            here = batch if at is None else batch.on(at)
            found.append(kernel(part, of.layers[index], here, scale, None))
        return torch.cat(found)


class CrossCache:
    """Which keys and values there are. The engine's thread alone touches it.

    running: the sequences that run, now and later. most_bytes: of all that is kept or held, unless
    a single sight takes more; a sequence waits until others have let go of what it needs room for.
    """

    def __init__(
        self,
        shapes: Shapes,
        media: MediaRows,
        running: Sequence[Running],
        dtype: torch.dtype,
        device: torch.device,
        most_bytes: int,
        placed: Placed | None = None,
    ) -> None:
        self._placed = placed
        self._shapes, self._media, self._running = shapes, media, running
        self._dtype, self._device, self._most = dtype, device, most_bytes
        self._kept: OrderedDict[bytes, CrossKeys] = OrderedDict()
        self._next: Running | None = None
        """Who waits for room, before all that come later."""

    def encoded(self, sequence: Running, count: int) -> bool:
        """Whether the media of a sequence's next rows are there; else they are on their way."""
        if sequence.sight is not None:
            return self.ready(sequence)
        return self._media.ready(sequence.media_of(count))

    def ready(self, sequence: Running) -> bool:
        """Whether what a sequence's next row sees is here; if there is room, it will be."""
        sight, keys = sequence.sight, sequence.cross
        if sight is None:
            return True
        if keys is None or keys.key != sight.key:
            sequence.cross = None  # before it may wait: who waits holds nothing
            keys = sequence.cross = self._taken(sequence, sight)
        if keys is None:
            return False
        for item, _ in list(keys.missing.values()):
            if self._media.ready([item]):
                keys.fill(item, self._media.rows(item))
                self._media.drop(item)
        return not keys.missing

    def put(self, batch: Batch, work: Iterable[tuple[Running, int]]) -> None:
        """Say in a batch what its rows cross-attend to."""
        parts = [
            (count, one.cross, sight.rows)
            for one, count in work
            if (sight := one.sight) is not None and one.cross is not None
        ]
        if parts:
            batch.cross = Crossing(parts)

    def _taken(self, sequence: Running, sight: Sight) -> CrossKeys | None:
        """None: there is no room."""
        held = {one.cross.key: one.cross for one in self._running if one.cross is not None}
        found = self._kept.get(sight.key)
        if found is None or sight.key not in held:
            ahead = self._next
            late = ahead in self._running and ahead is not None and ahead.order < sequence.order
            size = sizes(sight, self._shapes, self._dtype)[1]
            if held and (late or size + sum(each.nbytes for each in held.values()) > self._most):
                self._next = ahead if late else sequence
                return None
        if self._next is sequence:
            self._next = None
        if found is None:
            self._make_room(size, held)
            found = CrossKeys(sight, self._shapes, self._dtype, self._device, self._placed)
            self._kept[sight.key] = found
        self._kept.move_to_end(sight.key)
        return found

    def _make_room(self, size: int, held: Mapping[bytes, CrossKeys]) -> None:
        """Drop what nobody holds, that which was not asked for the longest time first."""
        taken = sum(each.nbytes for each in self._kept.values())
        for key in [key for key in self._kept if key not in held]:
            if taken + size <= self._most:
                return
            taken -= self._kept.pop(key).nbytes


def cross_cache(
    loaded: Loaded, media: MediaRows, running: Sequence[Running], most_bytes: int
) -> CrossCache:
    """Of a model, which may have no layer that cross-attends."""
    layers = cross_layers(loaded.model)
    shapes = {index: (each.shared_heads, each.d_head) for index, each in layers.items()}
    device = torch.device(loaded.device.torch_device)
    return CrossCache(shapes, media, running, loaded.kv_dtype, device, most_bytes, loaded.placed)
