"""Media of a prompt: prepared items, and the rows of the prompt that stand for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class MediaItem:
    """One picture, sound or video as a model's encoder takes it.

    kind: "image", "audio" or "video". arrays: what `MediaLM.encode` is given, by name. rows: number
    of the prompt's rows that stand for it. settings: whatever else decides what becomes of it, for
    its digest.
    cross: rows that the encoder makes of it for layers with `CrossAttention`, beside the prompt,
    whose rows are tokens then; 0: the prompt's rows are the encoder's.
    """

    kind: str
    arrays: Mapping[str, Array]
    rows: int
    settings: str = ""
    cross: int = 0

    @property
    def encoded(self) -> int:
        """Rows that the encoder makes of it."""
        return self.cross or self.rows

    @cached_property
    def digest(self) -> bytes:
        """What the item is known by: a hash of its arrays, their shapes and types, and settings."""
        told = hashlib.blake2b(digest_size=32)
        told.update(repr((self.kind, self.rows, self.settings, self.cross)).encode())
        for name, array in sorted(self.arrays.items()):
            told.update(repr((name, array.shape, str(array.dtype))).encode())
            told.update(np.ascontiguousarray(array).tobytes())
        return told.digest()


@dataclass(frozen=True)
class Run:
    """Rows start..start+count of a prompt, which are rows first..first+count of an item."""

    start: int
    count: int
    item: MediaItem
    first: int = 0

    @property
    def end(self) -> int:
        return self.start + self.count


@dataclass(frozen=True)
class Sight:
    """What rows of a prompt attend to beside its tokens, from row `start` to the next sight's: the
    first `rows` rows of all that the encoder makes of these items, which stand side by side."""

    start: int
    items: tuple[MediaItem, ...]
    rows: int

    @cached_property
    def key(self) -> bytes:
        """What the items are known by."""
        return b"".join(item.digest for item in self.items)


@dataclass(frozen=True)
class Media:
    """The media of one prompt.

    runs: rows that are an item's, in order. mutual: whether an item's rows see each other, and not
    only those before; each item is then a single run. positions: (sections, tokens) of rotary
    embeddings with several sections; None: a token's position is its index.
    """

    runs: tuple[Run, ...]
    mutual: bool = False
    positions: npt.NDArray[np.int64] | None = None

    def count(self, kind: str) -> int:
        """Number of rows of items of a kind."""
        return sum(run.count for run in self.runs if run.item.kind == kind)

    @property
    def kinds(self) -> frozenset[str]:
        """Of its items."""
        return frozenset(run.item.kind for run in self.runs)

    @property
    def first(self) -> int | None:
        """The first row that is an item's."""
        return self.runs[0].start if self.runs else None

    @cached_property
    def sights(self) -> tuple[Sight, ...]:
        """In order, where layers cross-attend to items: a token sees the last item before it, and
        those that stand directly before that one."""
        found: list[Sight] = []
        beside: list[list[Run]] = []
        for run in self.runs if self.crosses else ():
            if not beside or beside[-1][-1].end != run.start:
                beside.append([])
            beside[-1].append(run)
        for runs in beside:
            items, rows = tuple(run.item for run in runs), 0
            for run in runs:
                rows += run.item.cross
                found.append(Sight(run.start, items, rows))
        return tuple(found)

    @property
    def crosses(self) -> bool:
        """Whether layers cross-attend to the items, whose rows in the prompt are tokens."""
        return bool(self.runs) and self.runs[0].item.cross > 0

    def sight(self, place: int) -> Sight | None:
        """What a row sees, in the prompt or behind it."""
        return next((each for each in reversed(self.sights) if each.start <= place), None)

    @cached_property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """(start, end) of the rows from each item's first to its last, which a step of their own
        computes; rows between two runs of an item included."""
        found: list[tuple[int, int]] = []
        last: MediaItem | None = None
        for run in () if self.crosses else self.runs:
            if run.item is last and run.first:  # it goes on
                found[-1] = (found[-1][0], run.end)
            else:
                found.append((run.start, run.end))
            last = run.item
        return tuple(found)

    def regions_within(self, first: int, count: int) -> list[tuple[int, int]]:
        """The regions, whole, that any of rows first..first+count are in."""
        return [(a, b) for a, b in self.regions if a < first + count and first < b]

    def cut(self, first: int, count: int, *, company: bool = False) -> int:
        """How many of the rows `first`..`first + count` one step takes: it has rows of one region,
        or of none; all rows of items that see each other; and rows of one sight. company: see
        `MediaLM`; regions are cut then only where rows see each other."""
        for sight in self.sights:
            if first < sight.start:
                return min(count, sight.start - first)
        if company:
            return self._uncut(first, count) if self.mutual else count
        for start, end in self.regions:
            if first < start:
                return min(count, start - first)
            if first < end:
                return end - first if self.mutual else min(count, end - first)
        return count

    def _uncut(self, first: int, count: int) -> int:
        """As many as `count`, but no region in parts."""
        for start, end in self.regions_within(first, count):
            if end > first + count:
                return start - first if start > first else end - first
        return count

    def resumable(self, count: int) -> int:
        """The most of a prompt's first `count` rows that may be known when the rest is computed:
        items whose rows see each other are computed whole."""
        for start, end in self.regions if self.mutual else ():
            if start < count < end:
                return start
        return count

    def items(self, first: int, count: int) -> list[MediaItem]:
        """The items that rows first..first+count are of, or that they cross-attend to."""
        found = [run.item for run in self.within(first, count)]
        if self.crosses:
            later = [each for each in self.sights if first < each.start < first + count]
            seen = [each for each in (self.sight(first), *later) if each is not None]
            found = [item for each in seen for item in each.items]
        return list({item.digest: item for item in found}.values())

    def within(self, first: int, count: int) -> list[Run]:
        """The runs, cut to rows first..first+count."""
        found = []
        for run in self.runs:
            start, end = max(run.start, first), min(run.end, first + count)
            if start < end:
                skipped = start - run.start
                found.append(Run(start, end - start, run.item, run.first + skipped))
        return found

    def told(self, first: int, count: int) -> bytes:
        """What a cache must know of rows first..first+count beside their token ids."""
        return b"".join(
            run.item.digest + f"{run.start - first},{run.first},{run.count};".encode()
            for run in self.within(first, count)
        )

    def sections(self, first: int, count: int, prompt: int) -> npt.NDArray[np.int64] | None:
        """(sections, count) positions of rows first..first+count; those behind the `prompt` rows of
        the prompt count on from its largest position."""
        if self.positions is None:
            return None
        known = self.positions[:, first : min(first + count, prompt)]
        further = np.arange(max(first, prompt), max(first + count, prompt)) + self.shift(prompt)
        return np.concatenate((known, np.broadcast_to(further, (len(known), len(further)))), 1)

    def shift(self, prompt: int) -> int:
        """What is added to an index behind the prompt to get its position."""
        return 0 if self.positions is None else int(self.positions.max()) + 1 - prompt


def runs_of(
    ids: Sequence[int], row: int | Mapping[str, int], items: Sequence[MediaItem]
) -> tuple[Run, ...]:
    """The rows of a prompt that are the items', in their order. row: the id of such rows, or that
    of each kind's.

    Raises ValueError, with both numbers, where there are more or fewer than the items have.
    """
    kinds = {item.kind: row if isinstance(row, int) else row[item.kind] for item in items}
    expected = [(item, first) for item in items for first in range(item.rows)]
    rows = {row} if isinstance(row, int) else set(row.values())
    places = [place for place, token in enumerate(ids) if token in rows]
    if len(places) != len(expected):
        raise ValueError(
            f"the prompt has {len(places)} places for rows of media, not {len(expected)}"
        )
    found: list[Run] = []
    for place, (item, first) in zip(places, expected, strict=True):
        if ids[place] != kinds[item.kind]:
            raise ValueError(f"token {place} of the prompt stands for other media than {item.kind}")
        if first and found[-1].end == place:
            found[-1] = Run(found[-1].start, found[-1].count + 1, item, found[-1].first)
        else:
            found.append(Run(place, 1, item, first))
    return tuple(found)
