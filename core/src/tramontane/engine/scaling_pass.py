"""The first of the two passes of requests with a mixture of adapters: a classifier reads its last
hidden states, and says how much of each adapter every token has in the second.

The keys and values of this pass are in a cache of its own, in the blocks that the sequence has in
the model's: whatever is known, copied or given back there is so here too.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tramontane import memory
from tramontane.adapters.mixture import Mixture
from tramontane.errors import NotEnoughMemory

from .batch import Batch
from .kv_cache import BLOCK_SIZE, KVCache
from .kv_size import rooms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tramontane.checkpoint.load import Loaded

    from .sequence import Sequence

    Work = list[tuple[Sequence, int]]


class ScalingPass:
    """The engine's thread alone touches it, but for `ready`."""

    def __init__(self, loaded: Loaded, cache: KVCache, *, force: bool = False) -> None:
        self._loaded, self._whole, self._force = loaded, cache, force
        self._cache: KVCache | None = None

    def ready(self) -> KVCache:
        """Its cache, as large as the model's. Raises NotEnoughMemory."""
        if self._cache is None:
            loaded, cache = self._loaded, self._whole
            for room in [] if self._force else rooms(loaded):
                size = cache.blocks * BLOCK_SIZE * room.per_token
                size += cache.states.count * room.per_sequence
                if size > room.free:
                    raise NotEnoughMemory(
                        "a mixture of adapters has a second KV cache as large as the first, "
                        f"{memory.readable(size)}, and {memory.readable(room.free)} are free: "
                        "give fewer tokens or bytes (--kv-tokens, --kv-memory), or --force to try "
                        "all the same"
                    )
            made = KVCache(
                loaded.model, cache.blocks, loaded.kv_dtype, cache.device, remember=False,
                state_slots=cache.states.count or 1, placed=loaded.placed, whole=True,
            )  # fmt: skip
            cache.states.mirrors.append(made.states)
            cache.mirrors.append(made)
            self._cache = made
        return self._cache

    def shares(
        self, work: Work, put: Callable[[Batch, Work], None]
    ) -> tuple[tuple[int, Tensor], ...]:
        """Of the step that computes this next, `Batch.shares`. put: what media rows have goes into
        a batch. Raises RequestError, NotEnoughMemory."""
        found: dict[int, Tensor] = {}
        passed: Work = []
        for sequence, count in work:
            mixture = sequence.request.adapters
            if not isinstance(mixture, Mixture):
                continue
            frozen = sequence.frozen
            rows = count if frozen is None else min(count, frozen.token + 1 - sequence.computed)
            if rows > 0:
                passed.append((sequence, rows))
        passed.sort(key=lambda piece: _alike(piece[0]))
        for _, group in groupby(passed, lambda piece: _alike(piece[0])):
            some = list(group)
            hidden = self._hidden(some, put).split([rows for _, rows in some])
            for (sequence, _), each in zip(some, hidden, strict=True):
                found[id(sequence)] = sequence.request.adapters.shares(each)  # type: ignore[union-attr]
        return tuple(_placed(work, found))

    def _hidden(self, work: Work, put: Callable[[Batch, Work], None]) -> Tensor:
        """(rows, hidden) float32, behind the last norm."""
        cache, model = self.ready(), self._loaded.model
        tokens: list[int] = []
        pieces = []
        for sequence, rows in work:
            first = sequence.computed
            tokens += [*sequence.tokens[first : first + rows], *sequence.drafts][:rows]
            extent = len(sequence.request.prompt)
            pieces.append((first, rows, extent, sequence.blocks, range(rows)))
        batch = Batch.of(pieces, cache, [sequence.slot or 0 for sequence, _ in work])
        put(batch, work)
        applied = work[0][0].request.adapters.first  # type: ignore[union-attr]
        if applied is None:
            return _floats(model.last_hidden(tokens, batch))
        if work[0][0].request.media is None and model.mixes is not None and model.mixes(applied):
            batch.adapters = ((0, len(tokens), applied),)
            return _floats(model.last_hidden(tokens, batch))
        batch.adapted = True
        with applied.on(batch):
            return _floats(model.last_hidden(tokens, batch))


def _alike(sequence: Sequence) -> tuple[bytes, bool]:
    """Which sequences are in one pass."""
    applied = sequence.request.adapters.first  # type: ignore[union-attr]
    return b"" if applied is None else applied.digest, sequence.request.media is not None


def _floats(found: Any) -> Tensor:
    """A copy: the next step writes over what a model returns."""
    tensor = found if isinstance(found, Tensor) else torch.from_numpy(found)
    return tensor.detach().float().cpu().clone()


def _placed(work: Work, found: dict[int, Tensor]) -> SequenceOf[tuple[int, Tensor]]:
    """Shares by first rows, with those that are frozen."""
    row, placed = 0, []
    for sequence, count in work:
        frozen = sequence.frozen
        shares = found.get(id(sequence))
        if frozen is not None:
            rows = 0 if shares is None else len(shares)
            if shares is not None and sequence.computed + rows > frozen.token:
                frozen.shares = shares[-1].clone()
            if rows < count:
                assert frozen.shares is not None
                rest = frozen.shares.expand(count - rows, *frozen.shares.shape)
                shares = rest if shares is None else torch.cat((shares, rest))
        if shares is not None:
            placed.append((row, shares.contiguous()))
        row += count
    return placed
