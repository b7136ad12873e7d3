"""Which sequences run, with how many tokens each in the next step, and who gives way.

Sequences are served by priority, and first come first served within one. A step holds a token of
every sequence that decodes and parts of prompts, as many as fit the budget. When the cache is full,
the last in order gives its blocks back and waits again; it is computed anew later, prompt and
output, and goes on as if nothing had been.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

from .kv_cache import BLOCK_SIZE, KVCache
from .prefill_budget import SHORT, Pace
from .sequence import Sequence

SNAPSHOT_EVERY = 512
"""Prompt tokens between two snapshots of states; there is one at a prompt's end besides."""
SNAPSHOT_IN_ANSWER = 64
"""Tokens of an answer between two, of which only the last is kept."""
SCORE_CHUNK = 64
"""Prompt tokens per step when every one's logits are wanted."""


@dataclass
class Counts:
    """What has happened so far."""

    prefix_queries: int = 0
    """Prompt tokens that were looked for in the cache."""
    prefix_hits: int = 0
    """Those that were found."""
    preemptions: int = 0
    forced_tokens: int = 0
    """Tokens of answers that were not drawn."""
    drafted_tokens: int = 0
    """Tokens that were guessed, in requests that have ended."""
    accepted_tokens: int = 0
    """Those of them that came."""


class Scheduler:
    """Sequences that wait, in order, and those that run. The engine's thread alone touches it.

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
        self.in_company = False
        """Whether rows of media may be beside others, see `MediaLM`."""
        self.encoded: Callable[[Sequence, int], bool] = lambda sequence, count: True
        """Whether the media of a sequence's next rows are encoded, so that a step can have them."""

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait for its turn."""
        bisect.insort(self.waiting, sequence, key=_order)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence, and take back what it holds."""
        self.cache.give_back(sequence.blocks)
        sequence.blocks = []
        if sequence.slot is not None:
            self.cache.states.give_back(sequence.slot)
            sequence.slot = sequence.snapshot = None
        if sequence.undo is not None:
            self.cache.states.give_back(sequence.undo[0])
            sequence.undo = None
        sequence.again, sequence.drafts = 0, []
        sequence.cross = None
        if sequence.place is not None:
            sequence.place.leave()
            sequence.place = None
        for found in (self.running, self.waiting):
            if sequence in found:
                found.remove(sequence)

    def admit(self) -> list[Sequence]:
        """Let those run for which there is room; returns them."""
        admitted = []
        while self.waiting and len(self.running) < self.max_seqs:
            sequence = self.waiting[0]
            if not self._give_blocks(sequence):
                break
            self.waiting.pop(0)
            self.running.append(sequence)
            admitted.append(sequence)
        return admitted

    def late(self, seconds: float) -> list[Sequence]:
        """Sequences that have waited for longer, and were never begun."""
        return [each for each in self.waiting if not each.started and each.waited > seconds]

    def fork(self, leader: Sequence, follower: Sequence) -> bool:
        """Let a follower run on the leader's blocks, if there is room now."""
        whole, rest = divmod(leader.computed, BLOCK_SIZE)
        states = self.cache.states
        if len(self.running) >= self.max_seqs or (rest and not self.cache.free):
            return False
        if not states.available:
            return False
        follower.slot = states.take()
        states.copy(leader.slot or 0, follower.slot)
        self.cache.pool.hold(leader.blocks[:whole])
        follower.blocks = leader.blocks[:whole]
        if rest:  # both go on writing here
            follower.blocks = [*follower.blocks, *self.cache.take(1)]
            self.cache.copy(leader.blocks[whole], follower.blocks[whole])
        follower.computed = leader.computed
        if leader.place is not None:
            follower.place = leader.place.forked()
        follower.cached = len(follower.request.prompt)
        self.running.append(follower)
        return True

    def plan(self) -> list[tuple[Sequence, int]]:
        """The sequences of the next step, with how many tokens of each."""
        work: list[tuple[Sequence, int]] = []
        decoding: list[Sequence] = []
        prompts: list[Sequence] = []
        running = sorted(self.running, key=_order)
        alone = next((each for each in running if each.computed < each.suspected), None)
        for sequence in running if alone is None else [alone]:
            (decoding if sequence.decoding else prompts).append(sequence)
        # one token of each that decodes, and those forced after it as far as there is room
        spare = min(self.batch_size, self.max_batched_tokens - len(self.running))
        for sequence in decoding:
            if sequence not in self.running:
                continue
            count = self._with_media(sequence, _most(sequence, 1 + max(0, spare)))
            if count and self._grow(sequence, count):
                work.append((sequence, count))
                spare -= count - 1
        if not prompts:
            return work
        prompts = [sequence for sequence in prompts if sequence in self.running]
        taken = sum(count for _, count in work)
        room = min(self.batch_size, self.max_batched_tokens - taken)
        beside = self.pace.room(len(work), [_rest(sequence) for sequence in prompts])
        room = room if beside is None else min(room, beside)
        for sequence in prompts:
            if room <= 0:
                break
            self._catch_up(sequence)
            count = self._to_snapshot(sequence, _most(sequence, room))
            if not (count := self._with_media(sequence, count)):
                continue
            room -= count
            work.append((sequence, count))
        return work

    def _with_media(self, sequence: Sequence, count: int) -> int:
        """Of a sequence's next rows, how many one step takes: those before the first of an item
        that waits for its encoder. Not all of a prompt's items need be kept at once."""
        media = sequence.request.media
        if media is None:
            return count
        first = sequence.computed
        count = media.cut(first, count, company=self.in_company)
        if self.encoded(sequence, count):
            return count
        for run in () if media.crosses else media.within(first, count):
            if not self.encoded(sequence, run.end - first):
                return run.start - first
        return 0

    def computed(self, sequence: Sequence, count: int) -> None:
        """The next `count` tokens of a sequence are in the cache."""
        if self.cache.windows:
            self.cache.passed(sequence.blocks, sequence.computed, sequence.computed + count)
        before = sequence.computed // BLOCK_SIZE
        sequence.computed += count
        sequence.again = max(0, sequence.again - count)
        after = sequence.computed // BLOCK_SIZE
        if after > before and self.cache.pool.remember and not sequence.watched:
            digests = sequence.digests(after)
            for index in range(before, after):
                self.cache.pool.learn(sequence.blocks[index], digests[index])
            if self.cache.states and sequence.computed == after * BLOCK_SIZE:
                self._keep_states(sequence, digests[-1])

    def _to_snapshot(self, sequence: Sequence, count: int) -> int:
        """Of a prompt's next `count` tokens, those before the next snapshot of its states."""
        if not self.cache.states or not self.cache.pool.remember:
            return count
        before = sequence.computed
        ends = (before + SNAPSHOT_EVERY - before % SNAPSHOT_EVERY, *_kept_ends(sequence))
        return min([count, *(end - before for end in ends if end > before)])

    def _keep_states(self, sequence: Sequence, digest: bytes) -> None:
        """Make a snapshot where one belongs. Of an answer, the last replaces the one before."""
        computed, states = sequence.computed, self.cache.states
        assert sequence.slot is not None
        if computed <= len(sequence.request.prompt):
            if computed % SNAPSHOT_EVERY == 0 or computed in _kept_ends(sequence):
                states.keep(digest, sequence.slot)
        elif computed % SNAPSHOT_IN_ANSWER == 0:
            states.keep(digest, sequence.slot, instead_of=sequence.snapshot)
            sequence.snapshot = digest

    def _give_blocks(self, sequence: Sequence) -> bool:
        pool, states = self.cache.pool, self.cache.states
        if not states.available:
            return False
        known: list[int] = []
        if sequence.may_share and pool.remember:
            digests = sequence.digests(sequence.whole)
            known = pool.find(digests)
            known = known[: self._usable(sequence, known, digests)]
        pool.hold(known)
        need = -(-sequence.length // BLOCK_SIZE) - len(known)
        # whoever runs may need another block soon
        if need + len(self.running) > pool.free:
            pool.give_back(known)
            return False
        sequence.blocks = [*known, *pool.take(need)]
        sequence.computed = len(known) * BLOCK_SIZE
        sequence.slot = states.take(digests[len(known) - 1] if known and states else None)
        if sequence.may_share and pool.remember:
            self.counts.prefix_queries += sequence.whole * BLOCK_SIZE
            self.counts.prefix_hits += sequence.computed
        if not sequence.history.output:
            sequence.cached = sequence.computed
        return True

    def _catch_up(self, sequence: Sequence) -> None:
        """Take what others have computed since this one was admitted, instead of computing it."""
        first, rest = divmod(sequence.computed, BLOCK_SIZE)
        pool = self.cache.pool
        if rest or not pool.remember or not sequence.may_share:
            return
        digests = sequence.digests(sequence.whole)
        known = pool.find(digests[first:])
        usable = self._usable(sequence, [*sequence.blocks[:first], *known], digests)
        known = known[: max(0, usable - first)]
        if not known:
            return
        if self.cache.states:
            assert sequence.slot is not None
            self.cache.states.restore(digests[usable - 1], sequence.slot)
        pool.hold(known)
        end = first + len(known)
        pool.give_back(sequence.blocks[first:end])
        sequence.blocks[first:end] = known
        self.cache.passed(sequence.blocks, sequence.computed, end * BLOCK_SIZE)
        sequence.computed = end * BLOCK_SIZE
        self.counts.prefix_hits += len(known) * BLOCK_SIZE
        if not sequence.history.output:
            sequence.cached += len(known) * BLOCK_SIZE

    def _usable(
        self, sequence: Sequence, blocks: SequenceOf[int], digests: SequenceOf[bytes]
    ) -> int:
        """How many cached blocks, counted from the first, a sequence can continue from."""
        count, media = self.cache.usable(blocks, digests), sequence.request.media
        while media is not None and media.resumable(count * BLOCK_SIZE) < count * BLOCK_SIZE:
            whole = media.resumable(count * BLOCK_SIZE) // BLOCK_SIZE
            count = self.cache.usable(blocks[:whole], digests)
        return count

    def _grow(self, sequence: Sequence, count: int) -> bool:
        """Make room for `count` tokens more; False: the sequence had to give way itself."""
        while sequence.computed + count > len(sequence.blocks) * BLOCK_SIZE:
            if self.cache.free:
                sequence.blocks.extend(self.cache.take(1))
                continue
            last = max(self.running, key=_order)
            self._preempt(last)
            if last is sequence:
                return False
        return True

    def suspect(self, sequence: Sequence, count: int) -> None:
        """After a step of several sequences that failed and left states that nobody knows: compute
        one of them anew, without company up to what it was to compute then."""
        sequence.suspected = sequence.computed + count
        self._preempt(sequence)

    def _preempt(self, sequence: Sequence) -> None:
        self.remove(sequence)
        sequence.computed = 0
        self.counts.preemptions += 1
        self.add(sequence)


def _kept_ends(sequence: Sequence) -> tuple[int, ...]:
    """Where a prompt's states are kept, in tokens: behind its last whole block, and behind the last
    one within its last image, about which another question may follow."""
    media, whole = sequence.request.media, sequence.whole * BLOCK_SIZE
    if media is None or not media.runs:
        return (whole,)
    return (whole, media.runs[-1].end // BLOCK_SIZE * BLOCK_SIZE)


def _most(sequence: Sequence, room: int) -> int:
    """How many of a sequence's tokens go into a step that has room for so many."""
    many_rows = sequence.scores or sequence.owing
    return min(sequence.pending, room, SCORE_CHUNK if many_rows else room)


def _rest(sequence: Sequence) -> int:
    """Tokens of a prompt that are still to be computed; one with images is never a short one, as
    they may come as fast as they are encoded."""
    return sequence.pending + (SHORT if sequence.request.media is not None else 0)


def _order(sequence: Sequence) -> tuple[int, int]:
    return sequence.order
