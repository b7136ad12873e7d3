"""Drafted tokens: rows of a step that may turn out to be the answer's next tokens.

They follow the token that a step computes anyway. Each position's token is then drawn as ever, and
while it is the drafted one, the next row has been computed already. Its keys and values lie where
they belong; those of rejected tokens are overwritten by the tokens that come there instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from typing import Protocol

from tramontane.drafting import Draft, DraftHead, DraftModel, Drafts

from .draft_head import HeadGuesser
from .draft_length import DraftLength, Guessing, StepCost
from .draft_model import ModelGuesser
from .kv_cache import BLOCK_SIZE
from .scheduler import SNAPSHOT_IN_ANSWER, Scheduler
from .sequence import Sequence
from .step_rows import Rows

log = logging.getLogger(__name__)
Work = list[tuple[Sequence, int]]
MOST_AGAIN = 8
"""Tokens that may be computed once more in a step with drafts."""
MEASURED = 16
"""Of so many steps without drafts, one's time is noted."""


class Guesser(Protocol):
    """What tokens are guessed by, for all sequences of a step at once."""

    writes: bool
    """Whether it keeps something in the blocks of tokens while it guesses them."""

    def guess(self, asked: Work) -> SequenceOf[SequenceOf[int] | None]:
        """For each sequence, up to so many tokens; None: it is not ready, but will be if it is
        asked again. What cannot be is `failed` in its `guessing`."""
        ...

    def noted(self, work: Work) -> None:
        """A step has computed this, of which drafts are still to be verified."""
        ...

    def ended(self, sequence: Sequence) -> None:
        """A sequence that was guessed for has ended."""
        ...

    def warm(self) -> None:
        """Do what is done once."""
        ...


class Drafting:
    """Adds drafted tokens to steps. vocab_size: tokens from here on are nobody's."""

    def __init__(self, guesser: Guesser, most: int, scheduler: Scheduler, vocab_size: int) -> None:
        self.guesser = guesser
        self._most, self._scheduler, self._vocab_size = most, scheduler, vocab_size
        self._cost = StepCost()
        self._steps, self._measures = 0, False

    def added(self, work: Work) -> Work:
        """The work of a step, with drafts behind the tokens of sequences that decode."""
        self._steps += 1
        rows, taken = -1, 0
        asked: Work = []
        places: list[int] = []
        for place, (sequence, count) in enumerate(work):
            guessing = sequence.guessing
            if guessing is not None and guessing.length.resting:
                guessing.length.resting -= 1
                continue
            if not sequence.history.output or count != sequence.pending or not sequence.decoding:
                continue
            if rows < 0:
                rows = sum([each for _, each in work])
            if (wanted := self._asked(sequence, len(work), rows, taken)) <= 0:
                continue
            if self.guesser.writes:
                self._give_blocks(sequence, wanted)
            else:
                taken += max(0, self._missing(sequence, wanted))
            rows += wanted
            asked.append((sequence, wanted))
            places.append(place)
        self._measures = bool(asked) or not self._steps % MEASURED
        if not asked:
            return work
        started = time.perf_counter()
        guessed = self._guessed(asked)
        found = list(work)
        for place, (sequence, wanted), tokens in zip(places, asked, guessed, strict=True):
            if tokens is None:
                continue
            sequence.drafts = _known(tokens[:wanted], self._vocab_size)
            assert sequence.guessing is not None
            if not sequence.drafts:
                sequence.guessing.length.missed()
                continue
            self._give_blocks(sequence, len(sequence.drafts))
            self._remember(sequence)
            found[place] = (sequence, work[place][1] + len(sequence.drafts))
        drafted = sum([len(sequence.drafts) for sequence, _ in asked])
        if drafted:
            self._cost.guessed(drafted, time.perf_counter() - started)
        return found

    def _guessed(self, asked: Work) -> SequenceOf[SequenceOf[int] | None]:
        try:
            return self.guesser.guess(asked)
        except Exception:
            log.exception("guessing tokens failed; the requests go on without")
            for sequence, _ in asked:
                assert sequence.guessing is not None
                sequence.guessing.failed = True
            return [()] * len(asked)

    def warm(self) -> None:
        """Do what is done once, before the first request."""
        self.guesser.warm()

    def stepped(self, work: Work, seconds: float) -> None:
        """A step has computed this, in so much time; nothing has come of it yet."""
        self._measured(work, seconds)
        try:
            self.guesser.noted(work)
        except Exception:
            log.exception("following what is answered failed; requests go on without drafts")
            for sequence, _ in work:
                sequence.guessing = Guessing(DraftLength(self._most), failed=True)

    def _measured(self, work: Work, seconds: float) -> None:
        """Note how long a step took; not every one, as most are alike."""
        if self._measures and all([each.decoding and each.history.output for each, _ in work]):
            self._cost.measured(sum([count for _, count in work]), seconds)

    def _asked(self, sequence: Sequence, tokens: int, rows: int, taken: int) -> int:
        """How many tokens to guess; tokens, rows: of the step so far. taken: free blocks that
        others are to have."""
        guessing, scheduler = sequence.guessing, self._scheduler
        if guessing is None:
            guessing = sequence.guessing = Guessing(DraftLength(self._most))
        if guessing.failed:
            return 0
        guessing.worth = self._cost.worth(tokens, rows)
        count = guessing.length.next(guessing.worth)
        # the last token of all is never computed
        left = sequence.budget - len(sequence.history.output) - 1
        free = max(0, scheduler.cache.free - taken - len(scheduler.running))
        fitting = (len(sequence.blocks) + free) * BLOCK_SIZE - sequence.length
        room = min(scheduler.max_batched_tokens, scheduler.batch_size + tokens) - rows
        if scheduler.cache.states:
            count = min(count, self._undoable(sequence))
        return min(count, left, fitting, room)

    def _undoable(self, sequence: Sequence) -> int:
        """How many rows may be drafted where states are to be taken back if they are wrong: none
        beyond where a snapshot of the states belongs."""
        if sequence.again > MOST_AGAIN or not self._scheduler.cache.states.available:
            return 0
        return -sequence.length % SNAPSHOT_IN_ANSWER

    def _remember(self, sequence: Sequence) -> None:
        """Keep the states of before the step."""
        states = self._scheduler.cache.states
        if not states:
            return
        if not states.available:
            sequence.drafts = []
            return
        assert sequence.slot is not None
        sequence.undo = states.take(), sequence.computed
        states.copy(sequence.slot, sequence.undo[0])

    def _settle(self, sequence: Sequence, kept: bool) -> None:
        """Of states before and behind a step's rows, go on with those behind if all rows count, or
        else from those before, with the rows that count once more."""
        if sequence.undo is None:
            return
        (slot, first), states = sequence.undo, self._scheduler.cache.states
        sequence.undo = None
        assert sequence.slot is not None
        if not kept:
            sequence.slot, slot = slot, sequence.slot
            sequence.again, sequence.computed = sequence.computed - first, first
        states.give_back(slot)

    def _missing(self, sequence: Sequence, drafts: int) -> int:
        return -(-(sequence.length + drafts) // BLOCK_SIZE) - len(sequence.blocks)

    def _give_blocks(self, sequence: Sequence, drafts: int) -> None:
        if (need := self._missing(sequence, drafts)) > 0:
            sequence.blocks.extend(self._scheduler.cache.take(need))

    def verified(self, sequence: Sequence, count: int, logits: Rows) -> Iterator[tuple[int, Rows]]:
        """Of a step's rows of a sequence, those that count, in pieces (tokens, logits) as steps
        without drafts would have had them. Each is put through before the next is asked for.

        count: with drafts. logits: (rows, vocabulary), as `wanted_rows` says.
        """
        drafts, sequence.drafts = sequence.drafts, []
        own = len(logits) - len(drafts)
        counts = self._scheduler.counts
        sequence.drafted += len(drafts)
        counts.drafted_tokens += len(drafts)
        yield count - len(drafts), logits[:own]
        accepted = 0
        while sequence.blocks:  # until it has ended
            more = _common(sequence.tokens[sequence.computed :], drafts[accepted:])
            if not more:
                break
            sequence.accepted += more
            counts.accepted_tokens += more
            first, accepted = own + accepted, accepted + more
            offsets = sequence.awaited(more)
            yield more, logits[first + min(offsets.start, more) : first + more]
        self._settle(sequence, kept=accepted == len(drafts))
        if sequence.guessing is not None:
            sequence.guessing.length.seen(len(drafts), accepted, sequence.guessing.worth)


class PluginGuesser:
    """Asks a plugin's drafter, for one sequence after the other."""

    writes = False

    def __init__(self, draft: Draft) -> None:
        """Raises UsageError."""
        self.drafter, self._name = draft.build(), draft.offer.name

    def guess(self, asked: Work) -> list[SequenceOf[int]]:
        return [self._tokens(sequence, count) for sequence, count in asked]

    def _tokens(self, sequence: Sequence, count: int) -> SequenceOf[int]:
        guessing = sequence.guessing
        assert guessing is not None
        try:
            if guessing.guesses is None:
                guessing.guesses = self.drafter.begin()
            return list(map(int, guessing.guesses.propose(sequence.history, count)))
        except Exception:
            log.exception("drafter %s failed; the request goes on without", self._name)
            guessing.failed = True
            return ()

    def noted(self, work: Work) -> None:
        pass

    def ended(self, sequence: Sequence) -> None:
        guesses = sequence.guessing and sequence.guessing.guesses
        end = getattr(guesses, "end", None)
        if end is None:
            return
        try:
            end(sequence.history)
        except Exception:
            log.exception("drafter %s failed at a request's end", self._name)

    def warm(self) -> None:
        pass


def drafting_of(draft: Drafts | None, scheduler: Scheduler, vocab_size: int) -> Drafting | None:
    """None where nothing is to be drafted. Raises UsageError."""
    if draft is None:
        return None
    guesser: Guesser
    if isinstance(draft, DraftModel):
        guesser = ModelGuesser(draft, scheduler, vocab_size)
    elif isinstance(draft, DraftHead):
        guesser = HeadGuesser(draft, scheduler, vocab_size)
    else:
        guesser = PluginGuesser(draft)
    if scheduler.cache.states and scheduler.cache.windows:
        log.info("no tokens are drafted: neither states nor what left a window can be taken back")
        return None
    return Drafting(guesser, draft.most, scheduler, vocab_size)


def _known(tokens: SequenceOf[int], vocab_size: int) -> list[int]:
    """Those before the first that is no token."""
    found: list[int] = []
    for token in tokens:
        if not 0 <= token < vocab_size:
            break
        found.append(token)
    return found


def _common(tokens: SequenceOf[int], drafts: SequenceOf[int]) -> int:
    count = 0
    for token, draft in zip(tokens, drafts, strict=False):
        if token != draft:
            break
        count += 1
    return count
