"""What changes from step to step: tokens, places in the cache, angles; written before each run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tramontane.blocks import Rope
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache, LayerCache

from tramontane_backend_cpu.kernels.attention import (
    ROWS_AT_ONCE,
    SPLIT,
    scratch_bytes,
    sums_bytes,
)

from . import interpreter
from .memory import Rooms, address, aligned

PAGE = 1024
"""Positions whose angles are computed at a time."""


class Inputs:
    """Buffers for the inputs of steps of up to `tokens` tokens, `wanted` of them wanted."""

    TILES, ATTENTIONS, MERGES, SPLITS, FURTHER = 2, 3, 4, 5, 8
    """Of the step's counts, after tokens and wanted ones: query tiles; tiles times splits; tiles
    that are merged; splits; those that the step itself makes."""

    def __init__(
        self,
        cache: KVCache,
        tokens: int,
        wanted: int,
        threads: int,
        places: int = 0,
        further: int = 0,
    ) -> None:
        """places: entries of all block tables together; sequences may share blocks. further: counts
        that the step itself makes."""
        self.cache, self.threads = cache, threads
        self.counts = np.zeros(self.FURTHER + further, np.int64)
        self._tokens, self._slots = np.zeros(tokens, np.int64), np.zeros(tokens, np.int64)
        self._wanted = np.zeros(wanted, np.int64)
        self._positions = np.zeros(tokens, np.int64)
        self._tiles = np.zeros((tokens, 4), np.int64)
        self.places = max(cache.blocks + tokens, places)
        self._tables = np.zeros(self.places, np.int64)
        self.tokens = tokens
        self._angles: list[tuple[Rope, Any, Any]] = []
        self._kept: list[Any] = []
        self._group, self._kv_heads = 1, 1 << 30
        self._scratch: dict[tuple[int, int, int, int], dict[str, int]] = {}
        self.room = Rooms(threads).room
        """(bytes) -> address of so many for each thread to work in."""
        self._owned: dict[object, int] = {}
        most_splits = -(-cache.blocks * cache.block_size // SPLIT)
        # split contexts are for steps with few tiles
        self._most_jobs = 4 * threads * max(most_splits, 1)
        self.tokens_at, self.slots_at = address(self._tokens), address(self._slots)
        self.positions_at = address(self._positions)
        self.wanted_at, self.tiles_at = address(self._wanted), address(self._tiles)
        self.tables_at = address(self._tables)
        self._pages = [
            (pages, np.zeros(tokens, np.int64), np.zeros(self.places, np.int64))
            for pages in cache.windows
        ]
        """Of layers with a window: where the blocks lie, and with that slots and tables."""
        self.splits_at = address(self.counts) + 8 * self.SPLITS

    def places_of(self, layer: LayerCache) -> tuple[int, int]:
        """Addresses of a layer's slots and tables."""
        for pages, slots, tables in self._pages:
            if pages is layer.pages:
                return address(slots), address(tables)
        return self.slots_at, self.tables_at

    def keep(self, array: Any) -> int:
        """The address of an array that lives as long as this."""
        self._kept.append(array)
        return address(array)

    def count_at(self, domain: int) -> int:
        """Address of how many rows there are."""
        return address(self.counts) + 8 * domain

    def angles_at(self, rope: Rope) -> int:
        """Address of the step's cos and sin, (tokens, dim)."""
        for known, buffer, _ in self._angles:
            if (known.dim, known.theta, known.scaling) == (rope.dim, rope.theta, rope.scaling):
                return address(buffer)
        buffer = np.zeros((self.tokens, rope.dim), np.float32)
        grows = rope.scaling is not None and rope.scaling.grows
        self._angles.append((rope, buffer, None if grows else _Table(rope)))
        return address(buffer)

    def scratch(self, group: int, kv_heads: int, d_key: int, d_value: int) -> dict[str, int]:
        """Working memory of attention with `group` heads per cached head."""
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
        """An array of so many 64-bit integers for all operations that know the owner."""
        if owner not in self._owned:
            self._owned[owner] = self.keep(np.zeros(size, np.int64))
        return self._owned[owner]

    def write(self, tokens: torch.Tensor, batch: Batch) -> None:
        """Take over a step's batch."""
        count, wanted = len(tokens), len(batch.wanted)
        self._tokens[:count] = tokens.numpy()
        self._slots[:count] = batch.slots.numpy()
        self._positions[:count] = batch.positions.numpy()
        self._wanted[:wanted] = batch.wanted.numpy()
        longest = self._write_tiles(batch)
        tiles = int(self.counts[self.TILES])
        few = tiles * self._kv_heads < 4 * self.threads
        splits = -(-longest // SPLIT) if few and longest > SPLIT else 1
        self.counts[:2] = count, wanted
        self.counts[self.FURTHER :] = 0  # where nothing is routed
        self.counts[self.ATTENTIONS] = tiles * splits
        self.counts[self.MERGES] = tiles if splits > 1 else 0
        self.counts[self.SPLITS] = splits
        self.counts[interpreter.AT_A_TIME] = 1 if count <= 16 else 8
        for rope, buffer, table in self._angles:
            if table is not None:
                table.take(batch.positions.numpy(), buffer[:count])
            else:
                cos, sin = batch.angles(rope)
                half = rope.dim // 2
                buffer[:count, :half] = cos[:, 0].numpy()
                buffer[:count, half:] = sin[:, 0].numpy()

    def _write_tiles(self, batch: Batch) -> int:
        """Query tiles and block tables; returns the longest context."""
        tile = place = longest = 0
        most = max(1, ROWS_AT_ONCE // self._group)
        for span in batch.spans:
            blocks = len(span.blocks)
            self._tables[place : place + blocks] = span.blocks
            first = span.length - span.count
            for start in range(0, span.count, most):
                here = min(most, span.count - start)
                self._tiles[tile] = span.start + start, here, first + start, place
                tile += 1
            place += blocks
            longest = max(longest, span.length)
        self.counts[self.TILES] = tile
        count, size = len(batch.slots), self.cache.block_size
        for pages, slots, tables in self._pages:
            np.take(pages.of, self._tables[:place], out=tables[:place])
            block, rest = np.divmod(self._slots[:count], size)
            slots[:count] = pages.of[block] * size + rest
        return longest


class _Table:
    """Angles of a rotation that depends on positions alone, computed by the page."""

    def __init__(self, rope: Rope) -> None:
        self._rope = rope
        self._rows = np.zeros((0, rope.dim), np.float32)

    def take(self, positions: Any, out: Any) -> None:
        most = int(positions.max()) if len(positions) else 0
        if most >= len(self._rows):
            first = len(self._rows)
            where = torch.arange(first, (most // PAGE + 1) * PAGE)
            cos, sin = self._rope.angles(where, where + 1)
            new = torch.cat((cos[:, 0], sin[:, 0]), -1).numpy()
            self._rows = np.concatenate((self._rows, new.astype(np.float32)))
        np.take(self._rows, positions, axis=0, out=out)
