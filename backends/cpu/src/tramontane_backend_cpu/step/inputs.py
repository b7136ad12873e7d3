"""The inputs that change with each step: tokens, cache slots, rotary angles; written before it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from tramontane.blocks import Rope
from tramontane.engine.batch import Batch, MediaInput, Span
from tramontane.engine.kv_cache import KVCache, LayerCache

from tramontane_backend_cpu.kernels.attention import (
    ROWS_AT_ONCE,
    scratch_bytes,
    sums_bytes,
)
from tramontane_backend_cpu.kernels.attention_merge import SPLIT, TILE_BYTES
from tramontane_backend_cpu.kernels.recurrent import SPAN_WORDS

from . import interpreter
from .angles import Angles
from .memory import Rooms, address, aligned, integers

TILE = TILE_BYTES // 8


class Inputs:
    """Buffers for the inputs of steps of up to `tokens` tokens, with logits for up to `wanted`."""

    TILES, ATTENTIONS, MERGES, SPLITS, SPANS, FURTHER = 2, 3, 4, 5, 6, 8
    """Indices of the step's counts, after tokens and wanted ones: query tiles; tiles times splits;
    tiles to be merged; splits; sequences; counts that the step computes itself."""

    def __init__(
        self,
        cache: KVCache,
        tokens: int,
        wanted: int,
        threads: int,
        places: int = 0,
        further: int = 0,
    ) -> None:
        """places: entries of all block tables together; sequences may share blocks. further: number
        of counts that the step computes itself."""
        self.cache, self.threads = cache, threads
        self.places = max(cache.blocks + tokens, places)
        self.tokens = tokens
        self._alive: list[Any] = []
        self.counts, self._counts = integers(self.FURTHER + further)
        self.tokens_at, self._tokens = self._integers(tokens)
        self.slots_at, self._slots = self._integers(tokens)
        self.positions_at, self._positions = self._integers(tokens)
        self.wanted_at, self._wanted = self._integers(wanted)
        self.tiles_at, self._tiles = self._integers(TILE * tokens)
        self.media_at, self._media = self._integers(tokens)
        self._media_rows: Any = None
        self._media_index: list[int] = []
        self.tables_at, self._tables = self._integers(self.places)
        self.spans_at, self._spans = self._integers(SPAN_WORDS * tokens)
        self._angles: list[Angles] = []
        self._group, self._kv_heads = 1, 1 << 30
        self._scratch: dict[tuple[int, int, int, int], dict[str, int]] = {}
        self.room = Rooms(threads).room
        """(bytes) -> address of a scratch buffer of that size per thread."""
        self._owned: dict[object, int] = {}
        most_splits = -(-cache.blocks * cache.block_size // SPLIT)
        # split contexts are for steps with few tiles
        self._most_jobs = 4 * threads * max(most_splits, 1)
        self._pages = [
            (pages, np.zeros(tokens, np.int64), np.zeros(self.places, np.int64))
            for pages in cache.windows
        ]
        """For each sliding window: its page table, and slots and block tables by page."""
        self.splits_at = address(self.counts) + 8 * self.SPLITS

    def places_of(self, layer: LayerCache) -> tuple[int, int]:
        """Addresses of a layer's slots and block tables."""
        for pages, slots, tables in self._pages:
            if pages is layer.pages:
                return address(slots), address(tables)
        return self.slots_at, self.tables_at

    def keep(self, array: Any) -> int:
        """The address of an array, which is kept alive as long as this object."""
        self._alive.append(array)
        return address(array)

    def count_at(self, domain: int) -> int:
        """The address of the number of rows of a domain."""
        return address(self.counts) + 8 * domain

    def angles(self, rope: Rope) -> Angles:
        """The angles of a rotary embedding for the step's tokens."""
        for known in self._angles:
            if known.rope.settings == rope.settings:
                return known
        places = self.places * self.cache.block_size
        self._angles.append(Angles(rope, self.tokens, places, self.positions_at))
        return self._angles[-1]

    def scratch(self, group: int, kv_heads: int, d_key: int, d_value: int) -> dict[str, int]:
        """Scratch buffers of attention with `group` query heads per KV head."""
        self._group = max(self._group, group)
        self._kv_heads = min(self._kv_heads, kv_heads)
        key = (group, kv_heads, d_key, d_value)
        if key not in self._scratch:
            rows = max(ROWS_AT_ONCE, group)
            each, partial = scratch_bytes(rows, d_key, d_value), sums_bytes(rows, d_value)
            partials = aligned(partial * self._most_jobs * kv_heads, np.uint8)
            self._scratch[key] = {
                "scratch": self.keep(aligned(each * self.threads, np.uint8)),
                "scratch_bytes": each,
                "partials": self.keep(partials),
                "partial_bytes": partial,
            }
        return self._scratch[key]

    def table(self, owner: object, size: int) -> int:
        """The address of `size` 64-bit integers, shared by all operations of an owner."""
        if owner not in self._owned:
            self._owned[owner] = self.keep(np.zeros(size, np.int64))
        return self._owned[owner]

    def write(self, tokens: Sequence[int], batch: Batch) -> None:
        """Write a step's inputs. CPU caches are cold between steps, so numpy is avoided, except for
        sliding windows."""
        numbers = batch.numbers
        count, wanted = len(tokens), len(numbers.wanted)
        self._tokens[:count] = array("q", tokens)
        self._slots[:count] = array("q", numbers.slots)
        self._positions[:count] = array("q", numbers.positions)
        self._wanted[:wanted] = array("q", numbers.wanted)
        if batch.media is not None or self._media_index:
            self._write_media(batch.media)
        tiles, longest = self._write_tiles(batch)
        few = tiles * self._kv_heads < 4 * self.threads
        splits = -(-longest // SPLIT) if few and longest > SPLIT else 1
        counts = self._counts
        counts[0], counts[1] = count, wanted
        counts[self.TILES], counts[self.ATTENTIONS] = tiles, tiles * splits
        counts[self.MERGES], counts[self.SPLITS] = tiles if splits > 1 else 0, splits
        counts[self.SPANS] = len(batch.spans)
        counts[interpreter.AT_A_TIME] = 1 if count <= 16 else 8
        for further in range(self.FURTHER, len(counts)):
            counts[further] = 0  # for steps that route nothing
        for angles in self._angles:
            angles.write(batch, longest)

    def _write_tiles(self, batch: Batch) -> tuple[int, int]:
        """Write query tiles and block tables; returns the number of tiles, and the longest
        context."""
        tile = place = longest = 0
        most = max(1, ROWS_AT_ONCE // self._group)
        for span in batch.spans:
            first, blocks = span.length - span.count, len(span.blocks)
            self._tables[place : place + blocks] = array("q", span.blocks)
            for start, end, reach in _stretches(span, first):
                for at in range(start, end, most):
                    fields = (span.start + at, min(most, end - at), first + at, place, reach)
                    self._tiles[TILE * tile : TILE * (tile + 1)] = array("q", fields)
                    tile += 1
            place += blocks
            longest = max(longest, span.length)
        if self.cache.states:
            for index, span in enumerate(batch.spans):
                told = (span.start, span.count, span.slot, int(span.first))
                self._spans[SPAN_WORDS * index : SPAN_WORDS * (index + 1)] = array("q", told)
        self._write_pages(len(batch.numbers.slots), place)
        return tile, longest

    def _write_media(self, media: MediaInput | None) -> None:
        for row in self._media_index:
            self._media[row] = 0
        self._media_index = [] if media is None else media.index
        self._media_rows = None
        if media is not None and media.rows is not None:  # kept until the step is over
            rows = self._media_rows = media.rows.detach().float().contiguous()
            for place, row in enumerate(media.index):
                self._media[row] = rows.data_ptr() + place * 4 * rows.shape[1]

    def _write_pages(self, count: int, places: int) -> None:
        """Write slots and block tables by page, for layers with a sliding window."""
        for pages, slots, tables in self._pages:
            np.take(pages.of, np.asarray(self._tables[:places]), out=tables[:places])
            block, rest = np.divmod(np.asarray(self._slots[:count]), self.cache.block_size)
            slots[:count] = pages.of[block] * self.cache.block_size + rest

    def _integers(self, count: int) -> tuple[int, memoryview[int]]:
        numbers, view = integers(count)
        return self.keep(numbers), view


def _stretches(span: Span, first: int) -> list[tuple[int, int, int]]:
    """Of a span's rows, counted from its own first, (start, end, how many tokens they see at
    least): those that see each other apart from the others. first: its first row's position."""
    if span.ahead is not None:
        last = [min(span.length, first + row + 1 + span.ahead) for row in range(span.count)]
        return [(row, row + 1, end) for row, end in enumerate(last)]
    if not span.mutual:
        return [(0, span.count, 0)]
    found, at = [], 0
    for start, end in span.mutual:
        start, stop = max(start - first, at), min(end - first, span.count)
        if start < stop:
            found += [(at, start, 0), (start, stop, end)]
            at = stop
    return [*found, (at, span.count, 0)]
