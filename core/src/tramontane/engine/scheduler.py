"""Continuous batching: which sequences run, with how many tokens in the next step, and preemption.

Sequences are served by priority, then in order of arrival. A step has one token of every decoding
sequence and chunks of prompts, as many as fit the budget. When the cache is full, the last sequence
in that order is preempted: it releases its blocks and waits again; later its prompt and output are
recomputed, and it continues with the same result.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from .kv_cache import BLOCK_SIZE, KVCache
from .pace import Pace
from .sequence import Sequence

SCORE_CHUNK = 64
"""Prompt tokens per step if the logits of each are requested."""


@dataclass
class Counts:
    """Counters since the engine started."""

    prefix_queries: int = 0
    """Prompt tokens that were looked up in the prefix cache."""
    prefix_hits: int = 0
    """Prompt tokens that were found there."""
    preemptions: int = 0
    forced_tokens: int = 0
    """Output tokens that were forced, not sampled."""


class Scheduler:
    """The waiting sequences, in order, and the running ones. Used by the engine's thread only.

    batch_size: prompt tokens per step. max_batched_tokens: all tokens per step.
    """

    def __init__(
        self, cache: KVCache, *, max_seqs: int, batch_size: int, max_batched_tokens: int
    ) -> None:
        self.cache, self.max_seqs = cache, max_seqs
        self.batch_size = batch_size
        self.max_batched_tokens = max(max_batched_tokens, max_seqs)
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        self.pace = Pace()
        self.counts = Counts()

    def add(self, sequence: Sequence) -> None:
        """Add a sequence to the queue."""
        bisect.insort(self.waiting, sequence, key=_order)

    def remove(self, sequence: Sequence) -> None:
        """Remove a sequence, and release its blocks."""
        self.cache.give_back(sequence.blocks)
        sequence.blocks = []
        for sequences in (self.running, self.waiting):
            if sequence in sequences:
                sequences.remove(sequence)

    def admit(self) -> list[Sequence]:
        """Move waiting sequences to the running ones while there is capacity; returns them."""
        admitted = []
        while self.waiting and len(self.running) < self.max_seqs:
            sequence = self.waiting[0]
            if not self._give_blocks(sequence):
                break
            self.waiting.pop(0)
            self.running.append(sequence)
            admitted.append(sequence)
        return admitted

    def fork(self, leader: Sequence, follower: Sequence) -> bool:
        """Run a follower on the leader's blocks, if there is capacity now; returns whether."""
        full, rest = divmod(leader.computed, BLOCK_SIZE)
        if len(self.running) >= self.max_seqs or (rest and not self.cache.free):
            return False
        self.cache.pool.hold(leader.blocks[:full])
        follower.blocks = leader.blocks[:full]
        if rest:  # both write to the last, partly filled block, so the follower gets a copy
            follower.blocks = [*follower.blocks, *self.cache.take(1)]
            self.cache.copy(leader.blocks[full], follower.blocks[full])
        follower.computed = leader.computed
        follower.cached = len(follower.request.prompt)
        self.running.append(follower)
        return True

    def plan(self) -> list[tuple[Sequence, int]]:
        """The sequences of the next step, with the number of tokens of each."""
        work: list[tuple[Sequence, int]] = []
        decoding: list[Sequence] = []
        prompts: list[Sequence] = []
        for sequence in sorted(self.running, key=_order):
            (decoding if sequence.decoding else prompts).append(sequence)
        # one token of each decoding sequence, and forced ones after it as far as the budget allows
        spare = min(self.batch_size, self.max_batched_tokens - len(self.running))
        for sequence in decoding:
            count = _chunk(sequence, 1 + max(0, spare))
            if sequence in self.running and self._grow(sequence, count):
                work.append((sequence, count))
                spare -= count - 1
        if not prompts:
            return work
        prompts = [sequence for sequence in prompts if sequence in self.running]
        taken = sum(count for _, count in work)
        budget = min(self.batch_size, self.max_batched_tokens - taken)
        limit = self.pace.room(len(work), [sequence.pending for sequence in prompts])
        budget = budget if limit is None else min(budget, limit)
        for sequence in prompts:
            if budget <= 0:
                break
            self._catch_up(sequence)
            count = _chunk(sequence, budget)
            budget -= count
            work.append((sequence, count))
        return work

    def computed(self, sequence: Sequence, count: int) -> None:
        """Record that the next `count` tokens of a sequence are in the cache."""
        if self.cache.windows:
            self.cache.passed(sequence.blocks, sequence.computed, sequence.computed + count)
        before = sequence.computed // BLOCK_SIZE
        sequence.computed += count
        after = sequence.computed // BLOCK_SIZE
        if after > before and self.cache.pool.remember:
            digests = sequence.digests(after)
            for index in range(before, after):
                self.cache.pool.learn(sequence.blocks[index], digests[index])

    def _give_blocks(self, sequence: Sequence) -> bool:
        pool = self.cache.pool
        # the last token is always computed: its logits are needed
        full = (sequence.length - 1) // BLOCK_SIZE
        hits: list[int] = []
        if sequence.may_share and pool.remember:
            hits = pool.find(sequence.digests(full))
            hits = hits[: self.cache.usable(hits)]
        pool.hold(hits)
        need = -(-sequence.length // BLOCK_SIZE) - len(hits)
        # leave one block for each running sequence, which may need it soon
        if need + len(self.running) > pool.free:
            pool.give_back(hits)
            return False
        sequence.blocks = [*hits, *pool.take(need)]
        sequence.computed = len(hits) * BLOCK_SIZE
        if sequence.may_share and pool.remember:
            self.counts.prefix_queries += full * BLOCK_SIZE
            self.counts.prefix_hits += sequence.computed
        if not sequence.history.output:
            sequence.cached = sequence.computed
        return True

    def _catch_up(self, sequence: Sequence) -> None:
        """Use blocks that other sequences have computed since this one was admitted."""
        first, rest = divmod(sequence.computed, BLOCK_SIZE)
        pool = self.cache.pool
        if rest or not pool.remember or not sequence.may_share:
            return
        hits = pool.find(sequence.digests((sequence.length - 1) // BLOCK_SIZE)[first:])
        hits = hits[: max(0, self.cache.usable([*sequence.blocks[:first], *hits]) - first)]
        if not hits:
            return
        pool.hold(hits)
        end = first + len(hits)
        pool.give_back(sequence.blocks[first:end])
        sequence.blocks[first:end] = hits
        self.cache.passed(sequence.blocks, sequence.computed, end * BLOCK_SIZE)
        sequence.computed = end * BLOCK_SIZE
        self.counts.prefix_hits += len(hits) * BLOCK_SIZE
        if not sequence.history.output:
            sequence.cached += len(hits) * BLOCK_SIZE

    def _grow(self, sequence: Sequence, count: int) -> bool:
        """Allocate blocks for `count` more tokens; False: the sequence itself was preempted."""
        while sequence.computed + count > len(sequence.blocks) * BLOCK_SIZE:
            if self.cache.free:
                sequence.blocks.extend(self.cache.take(1))
                continue
            last = max(self.running, key=_order)
            self._preempt(last)
            if last is sequence:
                return False
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.remove(sequence)
        sequence.computed = 0
        self.counts.preemptions += 1
        self.add(sequence)


def _chunk(sequence: Sequence, budget: int) -> int:
    """How many of a sequence's tokens a step with this budget computes."""
    many_rows = sequence.request.score_prompt or sequence.owing
    return min(sequence.pending, budget, SCORE_CHUNK if many_rows else budget)


def _order(sequence: Sequence) -> tuple[int, int]:
    return sequence.order
