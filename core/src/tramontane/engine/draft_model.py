"""A smaller model that answers ahead: its greedy tokens are the drafts of a larger one.

Its keys and values lie in the same blocks as those of the model that it drafts for, in a cache of
its own: so what sequences share, they share in both. It follows the answer: tokens that came are
computed when it is next asked, a step's worth at a time, and what it guessed wrong is overwritten.
States of recurrent layers are taken on by what came only; guesses go on from a copy.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence as SequenceOf

import numpy as np
import torch

from tramontane.drafting import DraftModel

from .batch import Batch
from .kv_cache import BLOCK_SIZE, KVCache
from .scheduler import Scheduler
from .sequence import Sequence
from .step_rows import Rows

log = logging.getLogger(__name__)
Piece = tuple[int, int, int, SequenceOf[int], SequenceOf[int]]
"""See `Batch.of`."""


class DraftPlace:
    """How far the draft model has come in one sequence. slot: of its states, in models with any."""

    def __init__(self, guesser: ModelGuesser, blocks: SequenceOf[int]) -> None:
        self._guesser = guesser
        self.slot = guesser.cache.states.take()
        self.ahead: list[int] = []
        """Guessed tokens that were computed behind those that came."""
        self.whole = guesser.known(blocks)
        """Blocks that are computed to their end."""
        self.computed = self.whole * BLOCK_SIZE
        """Tokens that have come, and are computed."""

    def follow(self, tokens: SequenceOf[int]) -> None:
        """See which guesses came."""
        for token in self.ahead:
            if self.computed >= len(tokens) or tokens[self.computed] != token:
                break
            self.computed += 1
        self.ahead = []

    def forked(self) -> DraftPlace | None:
        """The place of a sequence that goes on from this one: it finds its own."""
        return None

    def leave(self) -> None:
        """The sequence is gone from its blocks."""
        self._guesser.cache.states.give_back(self.slot)


class _Asked:
    """A sequence in one round of guesses."""

    def __init__(self, index: int, sequence: Sequence, place: DraftPlace, count: int) -> None:
        self.index, self.sequence, self.place, self.count = index, sequence, place, count
        self.slot = place.slot
        self.found: list[int] = []

    def rows(self, first: int, count: int) -> Piece:
        """Rows of it in a step, the last one's logits being wanted if it is the last known."""
        ends = first + count >= self.sequence.length
        extent = len(self.sequence.request.prompt)
        offsets = [count - 1] if ends else []
        return first, count, extent, self.sequence.blocks, offsets


class ModelGuesser:
    """Guesses with a model, for several sequences in each of its steps."""

    writes = True

    def __init__(self, draft: DraftModel, scheduler: Scheduler, vocab_size: int) -> None:
        loaded = draft.loaded
        self._name, self._loaded = draft.name, loaded
        self._vocab_size = min(vocab_size, loaded.config.vocab_size)
        self._rows = scheduler.batch_size
        blocks, slots = scheduler.cache.blocks, 2 * scheduler.max_seqs
        device = torch.device(loaded.device.torch_device)
        self.cache = KVCache(
            loaded.model, blocks, loaded.kv_dtype, device,
            remember=False, state_slots=slots, whole=True,
        )  # fmt: skip
        self._whole: set[int] = set()
        """Blocks that are computed to their end, and whose tokens stay what they are."""
        self._took_blame = False
        scheduler.cache.forgetters.append(self._whole.discard)

    def known(self, blocks: SequenceOf[int]) -> int:
        """How many of a sequence's first blocks need not be computed."""
        if self.cache.states:  # there is no state at their end
            return 0
        for count, block in enumerate(blocks):
            if block not in self._whole:
                return count
        return len(blocks)

    def guess(self, asked: list[tuple[Sequence, int]]) -> list[SequenceOf[int] | None]:
        rounds = [
            one
            for index, (sequence, count) in enumerate(asked)
            if (one := self._begun(index, sequence, count)) is not None
        ]
        ready = self._caught_up(rounds)
        if self.cache.states:
            ready = [one for one in ready if self._copied(one)]
        try:
            most = max([one.count for one in ready], default=0)
            for depth in range(1, most):
                going = [one for one in ready if one.count > depth and len(one.found) == depth]
                if not going:
                    break
                pieces = [one.rows(one.sequence.length + depth - 1, 1) for one in going]
                logits = self._step(going, [one.found[-1:] for one in going], pieces)
                for one, row in zip(going, logits, strict=True):
                    if not self.cache.states:  # which only the copy has gone on with
                        one.place.ahead.append(one.found[-1])
                    self._take(one, row)
        finally:
            for one in ready:
                if one.slot != one.place.slot:
                    self.cache.states.give_back(one.slot)
        found: list[SequenceOf[int] | None] = [()] * len(asked)
        for one in rounds:
            found[one.index] = one.found if one in ready else None
        return found

    def _begun(self, index: int, sequence: Sequence, count: int) -> _Asked | None:
        states = self.cache.states
        if sequence.place is None:
            if states and not states.available:
                return None
            sequence.place = DraftPlace(self, sequence.blocks)
        place: DraftPlace = sequence.place
        place.follow(sequence.tokens)
        count = min(count, self._loaded.context_length - sequence.length)
        first = place.computed if states else min(place.computed, sequence.length - 1)
        most = self._loaded.config.known_tokens
        if count <= 0 or first >= sequence.length or max(sequence.tokens[first:]) >= most:
            return None
        place.computed = first
        return _Asked(index, sequence, place, count)

    def _caught_up(self, rounds: list[_Asked]) -> list[_Asked]:
        """Compute what has come, as many rows as a step may have; returns those that have all of
        it, and a first guess."""
        room, going, pieces = self._rows, [], []
        for one in rounds:
            first = one.place.computed
            count = min(one.sequence.length - first, room)
            if count:
                room -= count
                going.append(one)
                pieces.append(one.rows(first, count))
        if not going:
            return []
        tokens = [
            one.sequence.tokens[first : first + count]
            for one, (first, count, *_) in zip(going, pieces, strict=True)
        ]
        logits = iter(self._step(going, tokens, pieces))
        ready = []
        for one, (first, count, _, blocks, offsets) in zip(going, pieces, strict=True):
            one.place.computed = first + count
            whole = max(one.place.whole, one.place.computed // BLOCK_SIZE)
            self._whole.update(blocks[one.place.whole : whole])
            one.place.whole = whole
            if offsets:
                self._take(one, next(logits))
                ready.append(one)
        return ready

    def _copied(self, one: _Asked) -> bool:
        """Let a sequence's guesses go on from a copy of its states."""
        states = self.cache.states
        if one.count < 2 or not states.available:
            one.count = 1
            return True
        one.slot = states.take()
        states.copy(one.place.slot, one.slot)
        return True

    def _take(self, one: _Asked, row: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        """The likeliest token, where there is one."""
        token = int(row[: self._vocab_size].argmax())
        if np.isfinite(row[token]):
            one.found.append(token)
            return
        assert one.sequence.guessing is not None
        one.sequence.guessing.failed = True
        if not self._took_blame:
            self._took_blame = True
            log.warning(
                "draft model %s: its logits are no numbers (%s); requests where it happens go on "
                "without drafts", self._name, row[token],
            )  # fmt: skip

    def _step(
        self, going: list[_Asked], tokens: SequenceOf[SequenceOf[int]], pieces: list[Piece]
    ) -> Rows:
        batch = Batch.of(pieces, self.cache, [one.slot for one in going])
        flat = [token for each in tokens for token in each]
        return self._loaded.model.step(flat, batch)  # type: ignore[no-any-return]

    def noted(self, work: list[tuple[Sequence, int]]) -> None:
        pass

    def ended(self, sequence: Sequence) -> None:
        pass

    def warm(self) -> None:
        try:
            self._loaded.model.step([0], Batch.of([(0, 1, 1, [0], [0])], self.cache, [0]))
        except Exception as error:  # noqa: BLE001 - the first round of guesses tells
            log.debug("the draft model's first step failed: %s", error)
