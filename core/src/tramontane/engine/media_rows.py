"""Rows of encoded media: which items wait to be encoded, and those that are kept.

An encoder runs in the engine's thread, a part of it between two steps, so that running answers do
not wait for a whole one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tramontane.blocks.cross import cross_layers
from tramontane.media.item import MediaItem

from .batch import Batch, MediaInput

if TYPE_CHECKING:
    from .sequence import Sequence as Running

SLICE = 0.01
"""Seconds of encoding between two steps of running answers; a part that has begun is ended."""


class MediaRows:
    """Encodes a model's media. The engine's thread alone touches it."""

    def __init__(self, model: Any, device: torch.device, most_bytes: int) -> None:
        self._model, self._device, self._most = model, device, most_bytes
        self._waiting: OrderedDict[bytes, MediaItem] = OrderedDict()
        self._work: tuple[MediaItem, Iterator[Tensor | None]] | None = None
        self._rows: OrderedDict[bytes, Tensor] = OrderedDict()
        self._bytes = 0
        self.encoded = 0
        """Items that were encoded."""

    @property
    def in_company(self) -> bool:
        """Whether rows of media may be beside others: see `MediaLM`. Rows that cross-attend are
        together, and no others with them."""
        return bool(self._model.in_company) and not cross_layers(self._model)

    @property
    def busy(self) -> bool:
        """Whether something is to be encoded."""
        return self._work is not None or bool(self._waiting)

    def ready(self, items: Iterable[MediaItem]) -> bool:
        """Whether all of these are encoded; those that are not will be."""
        found = True
        for item in items:
            if item.digest not in self._rows:
                self._waiting.setdefault(item.digest, item)
                found = False
        return found

    def rows(self, item: MediaItem) -> Tensor:
        """(rows, hidden) of an item that is ready."""
        self._rows.move_to_end(item.digest)
        return self._rows[item.digest]

    def drop(self, item: MediaItem) -> None:
        """Keep the rows of an item no longer."""
        self._bytes -= self._rows.pop(item.digest).nbytes

    def forget(self, wanted: Iterable[MediaItem]) -> None:
        """Encode nothing that waits but what is still wanted."""
        keep = {item.digest for item in wanted}
        for digest in [digest for digest in self._waiting if digest not in keep]:
            del self._waiting[digest]
        if self._work is not None and self._work[0].digest not in keep:
            self._work = None

    def advance(
        self,
        running: Sequence[Running],
        fail: Callable[[Running, Exception], None],
        *,
        beside: bool,
    ) -> None:
        """Encode a part of what running sequences need; beside: they have steps meanwhile."""
        if not self.busy:
            return
        self.forget(item for one in running for item in one.media_of(one.pending))
        try:
            if self.busy:
                self.work(SLICE if beside else None)
        except EncodingFailed as failed:
            needed = failed.item.digest
            for one in list(running):
                if any(item.digest == needed for item in one.media_of(one.pending)):
                    fail(one, failed.error)

    def put(self, batch: Batch, work: Iterable[tuple[Running, int]]) -> None:
        """Say in a batch which of its rows are media's, and where rotary embeddings put them."""
        index: list[int] = []
        parts: list[Tensor] = []
        inside = False
        for (one, count), span in zip(work, batch.spans, strict=True):
            media, first = one.request.media, one.computed
            if media is None:
                continue
            sections = media.sections(first, count, len(one.request.prompt))
            if sections is not None:
                batch.place(span, sections)
            if media.mutual:
                span.mutual = media.regions_within(first, count)
            for run in () if media.crosses else media.within(first, count):
                start = span.start + run.start - first
                index.extend(range(start, start + run.count))
                parts.append(self.rows(run.item)[run.first : run.first + run.count])
            inside = inside or bool(media.regions_within(first, 1))
        if parts or (inside and not self.in_company):
            batch.media = MediaInput(index, torch.cat(parts) if parts else None)

    def work(self, seconds: float | None) -> None:
        """Encode for about so long, or until an item is done; None: until it is.

        Raises whatever an encoder raises, as `EncodingFailed`.
        """
        end = None if seconds is None else time.perf_counter() + seconds
        item = next(iter(self._waiting.values())) if self._work is None else self._work[0]
        try:
            with torch.inference_mode():
                if self._work is None:
                    self._work = item, iter(self._model.encoded(item.kind, self._tensors(item)))
                for rows in self._work[1]:
                    if rows is not None:
                        self._keep(item, rows)
                        return
                    if end is not None and time.perf_counter() >= end:
                        return
            raise ValueError("the encoder gave no rows")
        except Exception as error:
            self._work = None
            self._waiting.pop(item.digest, None)
            raise EncodingFailed(item, error) from error

    def _tensors(self, item: MediaItem) -> dict[str, Tensor]:
        arrays = item.arrays.items()
        return {name: torch.as_tensor(array).to(self._device) for name, array in arrays}

    def _keep(self, item: MediaItem, rows: Tensor) -> None:
        self._work = None
        if len(rows) != (wanted := item.encoded):
            raise ValueError(f"the encoder gave {len(rows)} rows, the processor counts {wanted}")
        wide = self._model.cfg.hidden_size * (1 + self._model.levels)
        if not item.cross and rows.shape[1] != wide:
            raise ValueError(f"the encoder gave rows of {rows.shape[1]} numbers, not {wide}")
        self.encoded += 1
        self._waiting.pop(item.digest, None)
        self._rows[item.digest] = rows
        self._bytes += rows.nbytes
        while self._bytes > self._most and len(self._rows) > 1:
            _, oldest = self._rows.popitem(last=False)
            self._bytes -= oldest.nbytes


def apart(work: list[tuple[Running, int]]) -> list[list[tuple[Running, int]]]:
    """The pieces of a step, those within an item's region each by itself, and those that
    cross-attend together: how such a row is computed does not depend on what else runs."""
    rest: list[tuple[Running, int]] = []
    crossing: list[tuple[Running, int]] = []
    media: list[list[tuple[Running, int]]] = []
    for piece in work:
        told = piece[0].request.media
        if piece[0].sight is not None:
            crossing.append(piece)
        elif told is not None and told.regions_within(piece[0].computed, 1):
            media.append([piece])
        else:
            rest.append(piece)
    return [each for each in (rest, crossing, *media) if each]


class EncodingFailed(Exception):
    """An item's encoder has failed."""

    def __init__(self, item: MediaItem, error: Exception) -> None:
        super().__init__(str(error))
        self.item, self.error = item, error
